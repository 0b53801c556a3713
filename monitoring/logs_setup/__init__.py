"""Sets up what the logs need in Elasticsearch and Kibana. Runs at every start of the stack: doing it again changes nothing."""
