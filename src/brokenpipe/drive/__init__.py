"""What happens: the experiment, the nemesis that breaks the wire, and the probes that watch both."""
