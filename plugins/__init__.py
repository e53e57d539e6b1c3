"""What Airflow loads by entry point: the provider, the plugin, the cluster policy."""
