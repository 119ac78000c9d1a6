public import BonafideCore

/// Time that passes when a test says so.
public final class ManualClock: BonafideCore.Clock {
    /// What `sleep` does.
    public enum Sleeping: Sendable {
        /// It returns at once, and both clocks have moved on by as much.
        case advancesTime
        /// It waits until the steady clock was set or moved to where it ends.
        case waits
    }

    private struct Sleeper {
        let until: Double
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Watcher {
        let sleepers: Int
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var wall: Double
        var steady: Double
        var sleeping: Sleeping
        var sleeps: [Double] = []
        var nextSleeper = 0
        var sleepers: [Int: Sleeper] = [:]
        var cancelled: Set<Int> = []
        var watchers: [Watcher] = []
    }

    private let state: Guarded<State>

    /// Begins at `wall`, seconds since 1970, and at `steady`, whose zero means nothing.
    public init(wall: Double = 1_764_000_000, steady: Double = 1000, sleeping: Sleeping = .advancesTime) {
        state = Guarded(State(wall: wall, steady: steady, sleeping: sleeping))
    }

    public func wall() -> Double { wallTime }

    public func steady() -> Double { steadyTime }

    public func sleep(_ seconds: Double) async throws {
        try Task.checkCancellation()
        let sleeper: Int? = state.withLock { state in
            state.sleeps.append(seconds)
            guard state.sleeping == .waits else {
                state.wall += seconds
                state.steady += seconds
                return nil
            }
            state.nextSleeper += 1
            return state.nextSleeper
        }
        guard let sleeper else { return wake() }
        defer { state.withLock { _ = $0.cancelled.remove(sleeper) } }  // cancelled just after it woke
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { add(sleeper, seconds, $0) }
        } onCancel: {
            cancel(sleeper)
        }
    }
}

extension ManualClock {
    /// What the device believes. To set it is what the user does in the settings: the steady clock goes on, and nobody
    /// wakes.
    public var wallTime: Double {
        get { state.withLock { $0.wall } }
        set { state.withLock { $0.wall = newValue } }
    }

    /// The steady clock alone. Who sleeps until then wakes.
    public var steadyTime: Double {
        get { state.withLock { $0.steady } }
        set {
            state.withLock { $0.steady = newValue }
            wake()
        }
    }

    /// What `sleep` does from the next call on.
    public var sleeping: Sleeping {
        get { state.withLock { $0.sleeping } }
        set { state.withLock { $0.sleeping = newValue } }
    }

    /// The durations of all sleeps, in the order in which they were asked for.
    public var sleeps: [Double] { state.withLock { $0.sleeps } }

    /// How many sleep now.
    public var sleepers: Int { state.withLock { $0.sleepers.count } }

    /// Moves both clocks on. Who sleeps until then wakes.
    public func advance(_ seconds: Double) {
        state.withLock { state in
            state.wall += seconds
            state.steady += seconds
        }
        wake()
    }

    /// Returns once at least `count` sleep at the same time.
    public func untilSleeping(_ count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isReached = state.withLock { state in
                if state.sleepers.count >= count { return true }
                state.watchers.append(Watcher(sleepers: count, continuation: continuation))
                return false
            }
            if isReached { continuation.resume() }
        }
    }

    private func add(_ number: Int, _ seconds: Double, _ continuation: CheckedContinuation<Void, any Error>) {
        let (isCancelled, reached) = state.withLock { state -> (Bool, [Watcher]) in
            // The task may have been cancelled before it came here.
            if state.cancelled.remove(number) != nil { return (true, []) }
            state.sleepers[number] = Sleeper(until: state.steady + seconds, continuation: continuation)
            let count = state.sleepers.count
            let reached = state.watchers.filter { $0.sleepers <= count }
            state.watchers.removeAll { $0.sleepers <= count }
            return (false, reached)
        }
        if isCancelled { return continuation.resume(throwing: CancellationError()) }
        for watcher in reached { watcher.continuation.resume() }
        wake()  // a sleep of no time
    }

    private func cancel(_ number: Int) {
        let sleeper = state.withLock { state in
            let sleeper = state.sleepers.removeValue(forKey: number)
            if sleeper == nil { state.cancelled.insert(number) }
            return sleeper
        }
        sleeper?.continuation.resume(throwing: CancellationError())
    }

    private func wake() {
        let woken = state.withLock { state in
            let due = state.sleepers.filter { $0.value.until <= state.steady }
            for number in due.keys { state.sleepers[number] = nil }
            return due.values.sorted { $0.until < $1.until }
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }
}
