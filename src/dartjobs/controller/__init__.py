"""The controller: what no cluster owns. One for the installation, with no driver."""
