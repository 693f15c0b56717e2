"""One module for each composite state that has work to do; each is a pure function of what is seen."""
