//! Made-up agents by the thousand, to try a platform with.
