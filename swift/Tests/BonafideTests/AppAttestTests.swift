import DeviceCheck
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

@Suite struct AppAttestTests {
    private let hash = [UInt8](repeating: 7, count: 32)

    @Test(arguments: [
        (DCError.Code.invalidKey, AttestorFailure.invalidKey, AttestorFailure.invalidKey),
        (.invalidInput, .invalidKey, .invalidKey),
        (.serverUnavailable, .unavailable, .unavailable),
        (.featureUnsupported, .unsupported, .unsupported),
        (.unknownSystemFailure, .failed("DCError 0"), .invalidKey),
    ])
    func errorsSayWhatIsToBeDone(code: DCError.Code, attesting: AttestorFailure, asserting: AttestorFailure) async {
        let script = AppAttestScript(
            generateKey: { throw DCError(code) }, attestKey: { _, _ in throw DCError(code) },
            generateAssertion: { _, _ in throw DCError(code) })
        await AppAttestScript.$current.withValue(script) {
            let attestor = AppAttest()
            await #expect(throws: attesting) { try await attestor.makeKey() }
            await #expect(throws: attesting) { try await attestor.attest("k", clientDataHash: hash) }
            await #expect(throws: asserting) { try await attestor.assert("k", clientDataHash: hash) }
        }
    }

    @Test func withoutSupportNothingIsAsked() async {
        let script = AppAttestScript(
            isSupported: false,
            generateKey: {
                Issue.record("asked"); return "k"
            })
        await AppAttestScript.$current.withValue(script) {
            await #expect(throws: AttestorFailure.unsupported) { try await AppAttest().makeKey() }
        }
    }

    @Test func otherErrorsAreNoWordOfTheKey() async {
        let script = AppAttestScript(generateAssertion: { _, _ in throw URLError(.timedOut) })
        await AppAttestScript.$current.withValue(script) {
            do {
                _ = try await AppAttest().assert("k", clientDataHash: hash)
                Issue.record("nothing was thrown")
            } catch AttestorFailure.failed {
            } catch {
                Issue.record(error)
            }
        }
    }

    @Test func evidenceCarriesKeyAndObject() async throws {
        let script = AppAttestScript(
            generateKey: { "a/+=" }, attestKey: { key, hash in Data(key.utf8) + hash.prefix(1) },
            generateAssertion: { _, hash in hash.prefix(2) })
        try await AppAttestScript.$current.withValue(script) {
            let attestor = AppAttest()
            #expect(try await attestor.makeKey() == "a/+=")
            let attestation = try await attestor.attest("k", clientDataHash: hash)
            #expect(attestation == .appAttest(key: "k", object: [0x6B, 7]))
            #expect(try await attestor.assert("k", clientDataHash: hash) == .appAttestAssertion([7, 7]))
        }
    }

    @Test func assertionsAreMadeOneAtATime() async throws {
        let running = Guarded((now: 0, most: 0))
        let script = AppAttestScript(generateAssertion: { _, _ in
            running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            try await Task.sleep(nanoseconds: 1_000_000)
            running.withLock { $0.now -= 1 }
            return Data()
        })
        try await AppAttestScript.$current.withValue(script) {
            let attestor = AppAttest()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for _ in 0..<20 {
                    tasks.addTask { [hash] in _ = try await attestor.assert("k", clientDataHash: hash) }
                }
                try await tasks.waitForAll()
            }
        }
        #expect(running.withLock { $0.most } == 1)
    }
}
