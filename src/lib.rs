//! moegate: the gateway.
