public import BonafideCore
import Foundation

/// App Attest in software: one app's keys on one device, with a fake Apple behind it.
///
/// What it makes is byte-shaped as the given iOS makes it, and taken by a service that trusts that fake Apple's root.
public final class SoftwareAttestor: Attestor {
    /// Whose evidence it is: that of an app from the App Store or TestFlight, or of one run from Xcode.
    public enum Environment: Hashable, Sendable {
        case production
        case development

        var aaguid: [UInt8] {
            switch self {
            case .production: Array("appattest".utf8) + [UInt8](repeating: 0, count: 7)
            case .development: Array("appattestdevelop".utf8)
            }
        }
    }

    /// A hook is called outside the lock, so that it may ask the attestor, and be held as long as a test likes.
    public typealias Hook = @Sendable () async -> Void

    private struct State {
        var keys: [String: AttestedKey] = [:]
        var keysMade = 0
        var attestCalls = 0
        var assertCalls = 0
        var keyFailures: [AttestorFailure] = []
        var attestationFailures: [AttestorFailure] = []
        var assertionFailures: [AttestorFailure] = []
        var beforeAttest: Hook?
    }

    private let maker: EvidenceMaker
    private let appleTime: @Sendable () -> Double
    private let state = Guarded(State())

    /// Makes a device without keys.
    ///
    /// `appID` is the team id, a dot, the bundle id. `systemVersion` decides the shape of the objects; from 27 on they
    /// hold `bundleVersion` and `validationCategory` (4: App Store), and `setsExtensionFlag` says whether the flag ED
    /// stands before them: real builds do both. `appleTime` dates the certificates, in seconds since 1970 (nil: now):
    /// Apple's clock is right whatever the device believes.
    public init(
        apple: FakeApple = FakeApple(), appID: String, environment: Environment = .production,
        systemVersion: String = "27.0", bundleVersion: String = "1", validationCategory: UInt32 = 4,
        setsExtensionFlag: Bool = false, appleTime: (@Sendable () -> Double)? = nil, beforeAttest: Hook? = nil
    ) {
        maker = EvidenceMaker(
            apple: apple, appID: appID, environment: environment, system: SystemVersion(text: systemVersion),
            bundleVersion: bundleVersion, validationCategory: validationCategory,
            setsExtensionFlag: setsExtensionFlag)
        self.appleTime = appleTime ?? { Date().timeIntervalSince1970 }
        state.withLock { $0.beforeAttest = beforeAttest }
    }

    public func makeKey() async throws -> String {
        try state.withLock { state in
            if let failure = state.keyFailures.takeFirst() { throw failure }
            let key = AttestedKey()
            let id = Base64.encoded(key.id)
            state.keys[id] = key
            state.keysMade += 1
            return id
        }
    }

    public func attest(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
        let hook = state.withLock { state in
            state.attestCalls += 1
            return state.beforeAttest
        }
        await hook?()
        let attested = try state.withLock { state in
            if let failure = state.attestationFailures.takeFirst() { throw failure }
            guard let found = state.keys[key], !found.isAttested else { throw AttestorFailure.invalidKey }
            state.keys[key]?.isAttested = true
            return found
        }
        let object = attested.attestation(clientDataHash: clientDataHash, by: maker, now: appleTime())
        return .appAttest(key: key, object: object)
    }

    public func assert(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
        let asserting = try state.withLock { state in
            state.assertCalls += 1
            if let failure = state.assertionFailures.takeFirst() { throw failure }
            guard var found = state.keys[key], found.isAttested else { throw AttestorFailure.invalidKey }
            found.counter += 1
            state.keys[key] = found
            return found
        }
        return .appAttestAssertion(asserting.assertion(clientDataHash: clientDataHash, by: maker))
    }
}

extension SoftwareAttestor {
    /// How many keys were made.
    public var keysMade: Int { state.withLock { $0.keysMade } }

    /// How often `attest` was called, failures counted. A well-behaved app calls it once for each key.
    public var attestCalls: Int { state.withLock { $0.attestCalls } }

    /// How often `assert` was called, failures counted.
    public var assertCalls: Int { state.withLock { $0.assertCalls } }

    /// Awaited by every `attest`, after it was counted and before anything else, so that a test can hold it in flight.
    public var beforeAttest: Hook? {
        get { state.withLock { $0.beforeAttest } }
        set { state.withLock { $0.beforeAttest = newValue } }
    }

    /// Loses every key, as a reinstall of the app or a restore of the device does.
    public func forgetKeys() { state.withLock { $0.keys = [:] } }

    /// Has the next calls of `makeKey` throw these, one each, after those that were said before.
    public func failNextKeys(_ failures: [AttestorFailure]) { state.withLock { $0.keyFailures += failures } }

    /// Likewise the next calls of `attest`. The key is not spent by a call that fails.
    public func failNextAttestations(_ failures: [AttestorFailure]) {
        state.withLock { $0.attestationFailures += failures }
    }

    /// Likewise the next calls of `assert`. The counter does not rise by a call that fails.
    public func failNextAssertions(_ failures: [AttestorFailure]) {
        state.withLock { $0.assertionFailures += failures }
    }

    /// The public key of a key that was made here and not forgotten. Apple's service does not show it.
    public func publicKey(of key: String) -> PublicKey? {
        state.withLock { $0.keys[key] }?.key.publicKey
    }

    /// The counter of the key's last assertion; nil for a key that is not known.
    public func counter(of key: String) -> UInt32? { state.withLock { $0.keys[key]?.counter } }
}

extension Array {
    /// Takes the first element away; nil where there is none.
    mutating func takeFirst() -> Element? { isEmpty ? nil : removeFirst() }
}
