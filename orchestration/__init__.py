"""What the business automates: workflows that commit, graphs that reason, plugins that reach providers."""
