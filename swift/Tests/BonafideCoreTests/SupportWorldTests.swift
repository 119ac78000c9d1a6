import BonafideTestSupport
import Foundation
import Testing

@testable import BonafideCore

/// A world in memory: exact where the real one is exact, and failing where it is told to.
@Suite struct SupportStorageTests {
    private struct Died: Error {}

    private let storage = MemoryStorage()

    @Test func aRecordIsReplacedWhereItIsWhatWasExpected() throws {
        #expect(try storage.load() == nil)
        #expect(try !storage.replace([1], with: [2]))
        #expect(try storage.replace(nil, with: [1]))
        #expect(try !storage.replace(nil, with: [2]))
        #expect(try !storage.replace([1, 0], with: [2]))
        #expect(try storage.load() == [1])
        #expect(try storage.replace([1], with: [2]))
        #expect(storage.record == [2])
        #expect((storage.loads, storage.replacements, storage.conflicts) == (2, 2, 3))
    }

    @Test func anEmptyRecordIsOne() throws {
        #expect(try storage.replace(nil, with: []))
        #expect(try !storage.replace(nil, with: [1]))
        #expect(try storage.replace([], with: [1]))
    }

    @Test func oneOfManyWhoReplaceTheSameWins() async {
        let winners = await withTaskGroup(of: Bool.self) { group in
            for writer in 0..<50 as Range<UInt8> {
                group.addTask { [storage] in (try? storage.replace(nil, with: [writer])) ?? false }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(winners == 1)
        #expect(storage.conflicts == 49)
    }

    @Test func aLockedDeviceSaysNothingOfWhatIsStored() throws {
        let storage = MemoryStorage([1])
        storage.isLocked = true
        #expect(throws: StorageFailure.unavailable) { try storage.load() }
        #expect(throws: StorageFailure.unavailable) { try storage.replace([1], with: [2]) }
        storage.isLocked = false
        #expect(try storage.load() == [1])
    }

    @Test func scriptedFailuresComeInTheirOrder() throws {
        storage.failNextLoads([.failed(-1), .unavailable])
        storage.failNextReplacements([.failed(-2)])
        #expect(throws: StorageFailure.failed(-1)) { try storage.load() }
        #expect(throws: StorageFailure.unavailable) { try storage.load() }
        #expect(try storage.load() == nil)
        #expect(throws: StorageFailure.failed(-2)) { try storage.replace(nil, with: [1]) }
        #expect(storage.record == nil)
        #expect(try storage.replace(nil, with: [1]))
    }

    @Test func aProcessCanDieAfterItsSecondWrite() throws {
        storage.afterReplace = { if $0 == 2 { throw Died() } }
        #expect(try storage.replace(nil, with: [1]))
        #expect(throws: Died.self) { try storage.replace([1], with: [2]) }
        #expect(storage.record == [2], "the write came before the end")
        #expect(try !storage.replace([1], with: [3]), "what was not written ends nobody")
    }

    @Test func anotherInstallHasAnotherName() throws {
        let installation = MemoryInstallation()
        #expect(try installation.identifier() == "install-1")
        installation.current = "install-2"
        #expect(try installation.identifier() == "install-2")
        installation.failure = .unavailable
        #expect(throws: StorageFailure.unavailable) { try installation.identifier() }
    }
}

@Suite struct SupportClockTests {
    @Test func asItComesASleepTakesNoTimeButThatOfTheClocks() async throws {
        let clock = ManualClock(wall: 100, steady: 5)
        try await clock.sleep(2.5)
        try await clock.sleep(1)
        #expect((clock.wall(), clock.steady()) == (103.5, 8.5))
        #expect(clock.sleeps == [2.5, 1])
    }

    @Test func theUserSetsOneClockAlone() {
        let clock = ManualClock(wall: 100, steady: 5)
        clock.wallTime = 50
        #expect((clock.wall(), clock.steady()) == (50, 5))
        clock.steadyTime = 6
        #expect((clock.wall(), clock.steady()) == (50, 6))
        clock.advance(1)
        #expect((clock.wall(), clock.steady()) == (51, 7))
    }

    @Test func whoWaitsWakesWhenTimeHasPassed() async throws {
        let clock = ManualClock(sleeping: .waits)
        let short = Task { try await clock.sleep(1) }
        let long = Task { try await clock.sleep(10) }
        await clock.untilSleeping(2)
        clock.wallTime += 100
        #expect(clock.sleepers == 2, "the wall clock wakes nobody")
        clock.advance(1)
        try await short.value
        #expect(clock.sleepers == 1)
        clock.steadyTime += 9
        try await long.value
        try await clock.sleep(0)
        #expect(clock.sleepers == 0)
    }

    @Test func whoIsCancelledWakesAtOnce() async {
        let clock = ManualClock(sleeping: .waits)
        let task = Task { try await clock.sleep(1000) }
        await clock.untilSleeping()
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.sleepers == 0)
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await clock.sleep(1000)
        }
        await #expect(throws: CancellationError.self) { try await late.value }
        #expect(clock.sleeps == [1000], "who is cancelled before does not begin to sleep")
    }
}

@Suite struct SupportUnstubbedTests {
    private final class Uses: @unchecked Sendable {
        private let lock = NSLock()
        private var texts: [String] = []

        func append(_ text: String) { lock.withLock { texts.append(text) } }

        var all: [String] { lock.withLock { texts } }
    }

    @Test func everyPortSaysWhatWasUsed() async {
        let uses = Uses()
        let world = World.unstubbed(Unstubbed(onUse: uses.append))
        await #expect(throws: UnstubbedUse.self) { try await world.attestor.makeKey() }
        await #expect(throws: UnstubbedUse.self) { try await world.attestor.attest("", clientDataHash: []) }
        await #expect(throws: UnstubbedUse.self) { try await world.attestor.assert("", clientDataHash: []) }
        #expect(throws: UnstubbedUse.self) { try world.keys.makeSigningKey() }
        #expect(throws: UnstubbedUse.self) { try world.keys.makeAgreementKey() }
        #expect(throws: UnstubbedUse.self) { try world.keys.signingKey([]) }
        #expect(throws: UnstubbedUse.self) { try world.keys.agreementKey([]) }
        #expect(throws: UnstubbedUse.self) { try world.storage.load() }
        #expect(throws: UnstubbedUse.self) { try world.storage.replace(nil, with: []) }
        #expect(throws: UnstubbedUse.self) { try world.installation?.identifier() }
        await #expect(throws: UnstubbedUse.self) {
            try await world.transport.send(ServiceMessage(url: "", headers: [], body: []))
        }
        await #expect(throws: UnstubbedUse.self) { try await world.clock.sleep(1) }
        #expect((world.clock.wall(), world.clock.steady()) == (0, 0))
        #expect(world.crypto.sha256([]).count == 32)
        #expect(world.crypto.hmacSHA256(key: [], []).count == 32)
        #expect(world.crypto.random(3) == [0, 0, 0])
        #expect(!world.crypto.isValid(signature: [], of: [], by: SoftwareSigningKey().publicKey))
        #expect(throws: UnstubbedUse.self) {
            try world.crypto.openAESGCM(key: [], nonce: [], ciphertext: [], tag: [], additionalData: [])
        }
        _ = world.crypto.makeSHA256()
        #expect(uses.all.count == 20)
        #expect(Set(uses.all).count == 20)
        #expect(uses.all.first == "BonafideTestSupport: Attestor.makeKey was used and not stubbed")
    }
}
