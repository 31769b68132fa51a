"""Tests of a running fleet: what a scenario's testinfra files share. Behaviour is asserted through the front door."""
