import Foundation

/// A value under a lock, held for as long as a closure without suspension runs.
///
/// iOS 15 has neither `Mutex` nor `OSAllocatedUnfairLock`.
final class Guarded<Value>: @unchecked Sendable {
    // The value is touched by `with` alone, which holds the lock.
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func with<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}
