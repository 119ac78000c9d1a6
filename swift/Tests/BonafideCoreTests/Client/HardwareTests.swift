import BonafideTestSupport
import Foundation
import Testing

@testable import BonafideCore

/// Proofs by the `sign` key: one at a time, stamped when they are made.
@Suite struct HardwareTests {
    private let phone = Phone()

    @Test func aQueuedProofHasTheTimeOfItsSignature() async throws {
        let slow = SlowKeys(phone.keys)
        let client = phone.start { _, world in world.keys = slow }
        try await client.prepare()
        let began = Int(phone.clock.wallTime)
        let clock = phone.clock
        slow.hold()
        let first = Task.detached { try await client.prove(.hardware) }
        await until { slow.isSigning }
        let second = Task.detached { try await client.prove(.hardware) }
        let third = Task.detached { try await client.prove(.hardware) }
        for _ in 0..<50 { await Task.yield() }
        third.cancel()
        await #expect(throws: CancellationError.self) { try await third.value }
        #expect(slow.signatures == 1)  // the others wait in the queue, and hold no thread
        clock.advance(42)
        slow.release()
        #expect(try await first.value.created == began)
        #expect(try await second.value.created == began + 42)
        #expect(slow.signatures == 2)
    }

    @Test func aProofInACancelledTaskIsNotMade() async throws {
        let client = try await phone.enrolled()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await client.prove(.hardware)
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        try await client.prove(.hardware)
    }

    @Test func aKeyThatFailsOnceKeepsNobodyOut() async throws {
        let client = try await phone.enrolled()
        phone.keys.useFailure = .lost
        #expect(await failure { try await client.prove(.hardware) } == .keyUnavailable)
        phone.keys.useFailure = nil
        try await client.prove(.hardware)
    }

    @Test func eachKindOfProofIsByItsOwnKey() async throws {
        let client = try await phone.enrolled()
        let record = try #require(phone.record)
        let sign = try #require(SoftwareSigningKey(scalar: record.signingKey))
        let session = try await client.prove()
        let hardware = try await client.prove(.hardware)
        #expect(hardware.keyID == sign.publicKey.thumbprint(SoftwareCrypto()))
        #expect(session.keyID == phone.enrolment.map { Base64.urlEncoded($0.session.id) })
        let names = ["OAuth-Client-Attestation", "Content-Digest", "Signature-Input", "Signature"]
        #expect(session.all.map(\.name) == names)
    }
}

/// Keys whose signatures take until a test lets them go on.
private final class SlowKeys: DeviceKeys {
    private struct State {
        var isHeld = false
        var isSigning = false
        var signatures = 0
    }

    private struct Key: SigningKey {
        let key: any SigningKey
        let keys: SlowKeys

        var publicKey: PublicKey { key.publicKey }
        var representation: [UInt8] { key.representation }

        func signature(of octets: [UInt8]) throws -> [UInt8] {
            keys.sign()
            return try key.signature(of: octets)
        }
    }

    private let keys: SoftwareDeviceKeys
    private let state = Guarded(State())

    init(_ keys: SoftwareDeviceKeys) { self.keys = keys }

    var isSigning: Bool { state.withLock { $0.isSigning } }
    var signatures: Int { state.withLock { $0.signatures } }

    func hold() { state.withLock { $0 = State(isHeld: true) } }
    func release() { state.withLock { $0.isHeld = false } }

    private func sign() {
        state.withLock { state in
            state.isSigning = true
            state.signatures += 1
        }
        for _ in 0..<60_000 where state.withLock({ $0.isHeld }) { usleep(1000) }
        state.withLock { $0.isSigning = false }
    }

    func makeSigningKey() throws -> any SigningKey { Key(key: try keys.makeSigningKey(), keys: self) }
    func makeAgreementKey() throws -> any AgreementKey { try keys.makeAgreementKey() }
    func signingKey(_ representation: [UInt8]) throws -> any SigningKey {
        Key(key: try keys.signingKey(representation), keys: self)
    }
    func agreementKey(_ representation: [UInt8]) throws -> any AgreementKey { try keys.agreementKey(representation) }
}
