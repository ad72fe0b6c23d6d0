"""The machines, by what they teach: hardware, cgroups, grants of schedulers, garbage."""
