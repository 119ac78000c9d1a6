import Foundation

/// Lets one in at a time, in the order of arrival. Whoever is cancelled while waiting leaves the queue.
final class OneAtATime: Sendable {
    struct Queue {
        var isTaken = false
        var waiting: [(id: UUID, continuation: CheckedContinuation<Void, any Error>)] = []
        /// Cancelled before they stood in the queue.
        var gone: Set<UUID> = []
    }

    let queue = Guarded(Queue())

    /// Runs `work` when its turn comes. Throws `CancellationError`, or what `work` throws.
    func run<Result: Sendable>(_ work: () async throws -> Result) async throws -> Result {
        try await enter()
        defer { leave() }
        return try await work()
    }

    private func enter() async throws {
        let id = UUID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer: Result<Void, any Error>? = queue.withLock { queue in
                    if queue.gone.remove(id) != nil { return .failure(CancellationError()) }
                    if queue.isTaken {
                        queue.waiting.append((id, continuation))
                        return nil
                    }
                    queue.isTaken = true
                    return .success(())
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            abandon(id)
        }
        // Whoever was cancelled after its turn had come is in; the work itself finds the cancellation.
        queue.withLock { _ = $0.gone.remove(id) }
    }

    private func abandon(_ id: UUID) {
        let continuation = queue.withLock { queue -> CheckedContinuation<Void, any Error>? in
            guard let index = queue.waiting.firstIndex(where: { $0.id == id }) else {
                queue.gone.insert(id)
                return nil
            }
            return queue.waiting.remove(at: index).continuation
        }
        continuation?.resume(throwing: CancellationError())
    }

    private func leave() {
        let next = queue.withLock { queue -> CheckedContinuation<Void, any Error>? in
            guard !queue.waiting.isEmpty else {
                queue.isTaken = false
                return nil
            }
            return queue.waiting.removeFirst().continuation
        }
        next?.resume()
    }
}
