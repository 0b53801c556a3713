"""Sets up what the log pipeline needs in Elasticsearch and Kibana. Run at every start of the stack: doing it again changes nothing."""
