//! Functions that ours are compared with, in `examples`, so that no build of the functions makes them.
