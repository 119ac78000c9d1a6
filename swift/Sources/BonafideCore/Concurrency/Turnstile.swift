/// Lets one task through at a time, in the order of arrival; who is cancelled while waiting leaves the queue.
///
/// The Secure Enclave signs one thing at a time and takes milliseconds for it: a hundred tasks that call it at once
/// would hold as many threads of the pool, which has one for each core.
package final class Turnstile: Sendable {
    private struct State {
        var isTaken = false
        var queue: [(ticket: Int, promise: Promise)] = []
        var next = 0
    }

    private let state = Guarded(State())

    package init() {}

    /// Runs `body` alone. Nobody waits where nobody is inside. Throws `CancellationError` and what `body` throws; who
    /// is cancelled once inside is for `body` to notice.
    package func pass<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async throws {
        try Task.checkCancellation()
        let place: (ticket: Int, promise: Promise)? = state.withLock { state in
            guard state.isTaken else {
                state.isTaken = true
                return nil
            }
            state.next += 1
            let place = (ticket: state.next, promise: Promise())
            state.queue.append(place)
            return place
        }
        guard let place else { return }
        do {
            try await place.promise.wait()
        } catch {
            let wasWaiting = state.withLock { state in
                guard let index = state.queue.firstIndex(where: { $0.ticket == place.ticket }) else { return false }
                state.queue.remove(at: index)
                return true
            }
            // The turn came at the same moment as the cancellation: it goes to the next.
            if !wasWaiting { leave() }
            throw error
        }
    }

    private func leave() {
        let following = state.withLock { state -> Promise? in
            guard !state.queue.isEmpty else {
                state.isTaken = false
                return nil
            }
            return state.queue.removeFirst().promise
        }
        following?.fulfil(.success(()))
    }
}
