public import BonafideCore

/// One record in memory. A class, so that two clients can share it, as an app and its extension share the Keychain.
public final class MemoryStorage: SecureStorage {
    /// Called after each successful `replace`, outside the lock, with how many there were. What it throws, `replace`
    /// throws although the record stands: so dies a process between a write and what was to follow.
    public typealias Hook = @Sendable (Int) throws -> Void

    private struct State {
        var record: [UInt8]?
        var isLocked = false
        var loads = 0
        var replacements = 0
        var conflicts = 0
        var loadFailures: [StorageFailure] = []
        var replaceFailures: [StorageFailure] = []
        var afterReplace: Hook?
    }

    private let state: Guarded<State>

    public init(_ record: [UInt8]? = nil) { state = Guarded(State(record: record)) }

    public func load() throws -> [UInt8]? {
        try state.withLock { state in
            state.loads += 1
            if state.isLocked { throw StorageFailure.unavailable }
            if let failure = state.loadFailures.takeFirst() { throw failure }
            return state.record
        }
    }

    public func replace(_ expected: [UInt8]?, with record: [UInt8]) throws -> Bool {
        let (count, hook): (Int, Hook?) = try state.withLock { state in
            if state.isLocked { throw StorageFailure.unavailable }
            if let failure = state.replaceFailures.takeFirst() { throw failure }
            guard state.record == expected else {
                state.conflicts += 1
                return (0, nil)
            }
            state.record = record
            state.replacements += 1
            return (state.replacements, state.afterReplace)
        }
        try hook?(count)
        return count > 0
    }
}

extension MemoryStorage {
    /// What is stored; nil where nothing is. To set it asks for nothing and calls no hook.
    public var record: [UInt8]? {
        get { state.withLock { $0.record } }
        set { state.withLock { $0.record = newValue } }
    }

    /// Whether the device was not unlocked since it started: every call throws `.unavailable`.
    public var isLocked: Bool {
        get { state.withLock { $0.isLocked } }
        set { state.withLock { $0.isLocked = newValue } }
    }

    /// How often `load` was called, failures counted.
    public var loads: Int { state.withLock { $0.loads } }

    /// How often `replace` has put a record in place.
    public var replacements: Int { state.withLock { $0.replacements } }

    /// How often `replace` found something else than what was expected.
    public var conflicts: Int { state.withLock { $0.conflicts } }

    public var afterReplace: Hook? {
        get { state.withLock { $0.afterReplace } }
        set { state.withLock { $0.afterReplace = newValue } }
    }

    /// Has the next calls of `load` throw these, one each, after those that were said before.
    public func failNextLoads(_ failures: [StorageFailure]) { state.withLock { $0.loadFailures += failures } }

    /// Likewise the next calls of `replace`, which put nothing in place.
    public func failNextReplacements(_ failures: [StorageFailure]) {
        state.withLock { $0.replaceFailures += failures }
    }
}
