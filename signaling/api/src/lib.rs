//! Request and reply types, signed device list, problem codes.
