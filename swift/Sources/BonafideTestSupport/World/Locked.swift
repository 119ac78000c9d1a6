import Foundation

/// A value behind a lock. `Mutex` of the standard library wants a newer system than the SDK does.
///
/// Unchecked: the value is reached by `withLock` alone.
final class Locked<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}
