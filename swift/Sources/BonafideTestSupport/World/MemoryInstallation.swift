public import BonafideCore

/// The name of one install in memory.
public final class MemoryInstallation: Installation {
    private struct State {
        var current: String
        var failure: StorageFailure?
    }

    private let state: Guarded<State>

    public init(_ identifier: String = "install-1") { state = Guarded(State(current: identifier)) }

    public func identifier() throws -> String {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            return state.current
        }
    }

    /// The name; another one is another install.
    public var current: String {
        get { state.withLock { $0.current } }
        set { state.withLock { $0.current = newValue } }
    }

    /// What `identifier` throws; nil where it works.
    public var failure: StorageFailure? {
        get { state.withLock { $0.failure } }
        set { state.withLock { $0.failure = newValue } }
    }
}
