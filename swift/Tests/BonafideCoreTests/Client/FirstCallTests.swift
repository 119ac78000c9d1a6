import BonafideTestSupport
import Testing

@testable import BonafideCore

/// One enrolment, whatever the number of callers and of processes.
@Suite struct FirstCallTests {
    private let phone = Phone()

    @Test func aFirstCallEnrolsWithOneKeyAndTwoMessages() async throws {
        let fields = try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.attestor.keysMade == 1)
        #expect(phone.service.count(.challenge) == 1)
        #expect(phone.service.count(.instances) == 1)
        #expect(phone.service.count(.renewals) == 0)
        #expect(fields.clientAttestation == phone.enrolment?.attestation)
        #expect(phone.record?.lease == nil)
    }

    @Test func twoHundredParallelFirstCallsAreOneEnrolment() async throws {
        let client = phone.start()
        let proven = try await withThrowingTaskGroup(of: ProofFields.self) { group in
            for number in 0..<200 { group.addTask { try await client.prove(number % 10 == 0 ? .hardware : .session) } }
            return try await group.reduce(into: [ProofFields]()) { $0.append($1) }
        }
        #expect(proven.count == 200)
        #expect(Set(proven.map(\.signatureInput)).count == 200)
        #expect(Set(proven.map(\.clientAttestation)) == [phone.enrolment?.attestation])
        #expect(proven.filter(\.isHardware).count == 20)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.messages == 2)
    }

    @Test func aCancelledCallerLeavesTheOthersAlone() async throws {
        phone.service.hold(.instances)
        let client = phone.start()
        let first = Task { try await client.prove() }
        await phone.service.untilHeld(.instances)
        let second = Task { try await client.prove() }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        phone.service.release(.instances)
        #expect(try await second.value.clientAttestation == phone.enrolment?.attestation)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.messages == 2)
    }

    @Test func anEnrolmentGoesOnWhenEveryCallerIsCancelled() async throws {
        phone.service.hold(.instances)
        let client = phone.start()
        let callers = (0..<5).map { _ in Task { try await client.prove() } }
        await phone.service.untilHeld(.instances)
        for caller in callers { caller.cancel() }
        for caller in callers { await #expect(throws: CancellationError.self) { try await caller.value } }
        phone.service.release(.instances)
        try await client.prove()
        #expect(phone.state == "enrolled")
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.messages == 2)
    }

    @Test func everyCallerLearnsWhyAnEnrolmentFailed() async throws {
        phone.service.hold(.challenge)
        phone.service.next(.challenge, .down)
        let client = phone.start()
        let callers = (0..<5).map { _ in Task { await failure { try await client.prove() } } }
        await phone.service.untilHeld(.challenge)
        phone.service.release(.challenge)
        // A caller that came after the failure enrols instead: the service is up again.
        for caller in callers {
            let error = await caller.value
            #expect(error == nil || error == .transport("ServiceIsDown()"))
        }
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func aSecondProcessWaitsForTheFirst() async throws {
        let phone = Phone(sleeping: .waits)
        let gate = Gate()
        phone.attestor.beforeAttest = { await gate.pass() }
        let first = Task { try await phone.start().prove() }
        await gate.untilReached()
        let second = Task { try await phone.start().prove() }
        await phone.clock.untilSleeping()
        gate.open()
        let attestation = try await first.value.clientAttestation
        phone.clock.advance(0.25)
        #expect(try await second.value.clientAttestation == attestation)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.messages == 2)
    }

    @Test func manyProcessesThatStartAtOnceMakeOneEnrolment() async throws {
        let attestations = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<8 { group.addTask { try await phone.start().prove().clientAttestation } }
            return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(attestations.count == 1)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.count(.instances) == 1)
        #expect(phone.keys.signingKeysMade >= 1)
    }

    @Test func aProcessThatWasThoughtDeadFindsTheOthersEnrolment() async throws {
        phone.service.hold(.instances)
        let first = Task { try await phone.start().prove() }
        await phone.service.untilHeld(.instances)
        phone.clock.advance(61)
        let second = Task { try await phone.start().prove() }
        while phone.service.count(.instances) < 2 { await Task.yield() }
        phone.service.release(.instances)
        let attestations = [try await first.value.clientAttestation, try await second.value.clientAttestation]
        #expect(attestations.contains(phone.enrolment?.attestation))
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.instances.count == 1)
        #expect(phone.record?.lease == nil)
    }

    @Test func aProcessThatGoesOnKeepsItsRight() async throws {
        let phone = Phone(sleeping: .waits)
        let gate = Gate()
        phone.attestor.beforeAttest = { await gate.pass() }
        phone.service.hold(.challenge)
        let first = Task { try await phone.start().prove() }
        await phone.service.untilHeld(.challenge)
        phone.clock.advance(40)
        phone.service.release(.challenge)
        await gate.untilReached()
        phone.clock.advance(40)
        let second = Task { try await phone.start().prove() }
        await until { phone.clock.sleepers == 1 || phone.attestor.attestCalls > 1 }
        #expect(phone.attestor.attestCalls == 1)
        gate.open()
        _ = try await first.value
        phone.clock.advance(0.25)
        _ = try await second.value
        #expect(phone.service.messages == 2)
    }

    @Test func aDeadRunsLeaseDelaysNobody() async throws {
        phone.storage.afterReplace = { if $0 == 2 { throw Killed() } }
        let killed = phone.start { configuration, _ in configuration.run = "1" }
        await #expect(throws: Killed.self) { try await killed.prove() }
        phone.storage.afterReplace = nil
        #expect(phone.record?.lease?.run == "1")
        try await phone.start { configuration, _ in configuration.run = "2" }.prove()
        #expect(phone.clock.sleeps.isEmpty)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test(arguments: [nil, "1"]) func anotherProcesssLeaseDelaysUntilItEnds(_ run: String?) async throws {
        phone.storage.afterReplace = { if $0 == 2 { throw Killed() } }
        let killed = phone.start { configuration, _ in configuration.run = "1" }
        await #expect(throws: Killed.self) { try await killed.prove() }
        phone.storage.afterReplace = nil
        let began = phone.clock.steadyTime
        try await phone.start { configuration, _ in configuration.run = run }.prove()
        #expect(phone.clock.steadyTime - began == Ledger.leaseSeconds)
    }

    @Test func aKilledExtensionDelaysTheAppByLess() async throws {
        try await phone.enrolled().prepare()
        phone.clock.advance(290)  // past the time to renew, and not yet past the end
        let written = phone.storage.replacements
        phone.storage.afterReplace = { if $0 == written + 1 { throw Killed() } }
        let killed = phone.start { configuration, world in
            configuration.role = .appExtension
            world.installation = nil
        }
        await #expect(throws: Killed.self) { try await killed.prepare() }
        phone.storage.afterReplace = nil
        let began = phone.clock.steadyTime
        try await phone.start { configuration, _ in configuration.run = "2" }.prepare()
        #expect(phone.clock.steadyTime - began == Ledger.extensionLeaseSeconds)
    }

    @Test func aLeaseThatIsAlwaysExtendedIsGivenUpOn() async throws {
        try await phone.enrolled().prepare()
        phone.clock.advance(301)
        let began = phone.clock.steadyTime
        let client = phone.start { [phone] _, world in
            world.storage = BusyStorage(storage: phone.storage, clock: phone.clock)
        }
        #expect(await failure { try await client.prove() } == .busy(retryAfter: 0.25))
        #expect(phone.clock.steadyTime - began == 120)
        #expect(phone.service.count(.renewals) == 0)
    }

    @Test func storageThatSomebodyElseAlwaysChangesIsGivenUpOn() async throws {
        let client = phone.start { [phone] _, world in world.storage = ContestedStorage(storage: phone.storage) }
        #expect(await failure { try await client.prove() } == .busy(retryAfter: 0.25))
        #expect(phone.service.messages == 0)
    }

    @Test func aLeaseFromAClockThatWasSetBackCountsForNothing() async throws {
        try await phone.enrolled().prepare()
        var record = try #require(phone.record)
        record.lease = .init(holder: "other", run: nil, until: phone.clock.wallTime + 4000)
        phone.storage.record = record.octets
        phone.clock.advance(301)
        try await phone.start().prove()
        #expect(phone.clock.sleeps.isEmpty)
        #expect(phone.service.count(.renewals) == 1)
    }
}

/// What a killed process throws in these tests.
struct Killed: Error {}

/// Storage in which another process always has just extended its right to talk to the service.
private struct BusyStorage: SecureStorage {
    let storage: MemoryStorage
    let clock: ManualClock

    func load() throws -> [UInt8]? {
        guard var record = try storage.load().flatMap(Record.init) else { return nil }
        record.lease = .init(holder: "other", run: nil, until: clock.wallTime + 60)
        return record.octets
    }

    func replace(_ expected: [UInt8]?, with record: [UInt8]) throws -> Bool { false }
}

/// Storage in which another process is always quicker.
private struct ContestedStorage: SecureStorage {
    let storage: MemoryStorage

    func load() throws -> [UInt8]? { try storage.load() }

    func replace(_ expected: [UInt8]?, with record: [UInt8]) throws -> Bool { false }
}

/// Holds whoever comes until it is opened.
final class Gate: Sendable {
    private let reached = Promise()
    private let opened = Promise()

    func pass() async {
        reached.fulfil(.success(()))
        try? await opened.wait()
    }

    func untilReached() async { try? await reached.wait() }

    func open() { opened.fulfil(.success(())) }
}
