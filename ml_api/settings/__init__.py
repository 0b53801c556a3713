"""Everything that can be configured: declared in `model`, read by `loading`, documented by `reference`."""

from ml_api.settings.loading import ENV_FILE, Given, load_settings
from ml_api.settings.model import Settings
from ml_api.settings.reference import environment_name, option_name, settings_table

__all__ = ["ENV_FILE", "Given", "Settings", "environment_name", "load_settings", "option_name", "settings_table"]
