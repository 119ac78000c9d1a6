import BonafideTestSupport
import Testing

@testable import BonafideCore

@Suite struct PriorityTests {
    /// Remembers how urgent the task is that sends.
    private struct Watched: Transport {
        let real: SimulatedService
        let seen: Guarded<[TaskPriority]>

        func send(_ message: ServiceMessage) async throws -> ServiceAnswer {
            seen.withLock { $0.append(Task.currentPriority) }
            return try await real.send(message)
        }
    }

    /// A request of the user may wait for what work in the background began.
    @Test func whatAllWaitForIsAsUrgentAsAUser() async throws {
        let phone = Phone()
        let seen = Guarded<[TaskPriority]>([])
        let client = phone.start { $1.transport = Watched(real: phone.service, seen: seen) }
        let work = Task.detached(priority: .background) { try await client.prepare() }
        while seen.withLock({ $0.isEmpty }) { try await Task.sleep(nanoseconds: 1_000_000) }
        try await work.value
        #expect(seen.withLock { $0 }.allSatisfy { $0 >= .userInitiated })
    }
}
