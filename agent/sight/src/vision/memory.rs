//! How the C library hands memory out. Models and pictures take and give back blocks of megabytes,
//! many times a second and on many threads.

/// Blocks from this size on go back to the system at once when they are freed.
const LARGE: i32 = 2 << 20;

/// Lets large freed blocks go. By itself glibc raises the size from which it does so to that of the
/// largest block it has seen freed, and then keeps them: measured, half as much memory again as is
/// in use. What fails changes nothing.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(super) fn give_large_blocks_back() {
    // SAFETY: `mallopt` only sets numbers of the allocator, under its own lock; it may be called at
    // any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_large_blocks_back() {}
