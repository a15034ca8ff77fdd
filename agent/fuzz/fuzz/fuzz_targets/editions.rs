#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| kakou_fuzz::editions(data));
