//! GA/T 1400: objects of a view library, and the way to an upper one.
