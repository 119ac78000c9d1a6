#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A value behind a lock that is held for a few instructions: never across an `await`, a signature or I/O.
///
/// iOS 15 has no `Mutex` of the standard library, and an actor would cost the hot path a suspension.
package final class Guarded<Value>: @unchecked Sendable {  // the lock makes it so: `value` is reached only under it
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var value: Value

    package init(_ value: Value) {
        self.value = value
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(&value)
    }
}
