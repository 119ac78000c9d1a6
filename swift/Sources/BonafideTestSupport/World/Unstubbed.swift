public import BonafideCore

/// A port, all of them, that a test has not stubbed: to use it fails loudly.
public struct Unstubbed: Sendable {
    private let onUse: @Sendable (String) -> Void

    /// `onUse` is told what was used; it ends the process unless it is given here. Where it returns, methods that can
    /// throw throw `UnstubbedUse`, and the others give zeros.
    public init(onUse: @escaping @Sendable (String) -> Void = { preconditionFailure($0) }) { self.onUse = onUse }

    private func report(_ use: String) { onUse("BonafideTestSupport: \(use) was used and not stubbed") }

    private func refuse(_ use: String) -> UnstubbedUse {
        report(use)
        return UnstubbedUse(use: use)
    }
}

/// Thrown by a port that was not stubbed, once its handler has returned. `use` is the port and the method.
public struct UnstubbedUse: Error, Hashable, Sendable {
    public let use: String
}

extension World {
    /// A world in which nothing is stubbed, and everything ends the process: put in its place what a test needs.
    public static var unstubbed: World { unstubbed(Unstubbed()) }

    /// Likewise, by `port`.
    public static func unstubbed(_ port: Unstubbed) -> World {
        World(
            attestor: port, crypto: port, keys: port, storage: port, installation: port, transport: port, clock: port)
    }
}

extension Unstubbed: Attestor {
    public func makeKey() async throws -> String { throw refuse("Attestor.makeKey") }

    public func attest(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
        throw refuse("Attestor.attest")
    }

    public func assert(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
        throw refuse("Attestor.assert")
    }
}

extension Unstubbed: Crypto {
    public func sha256(_ octets: [UInt8]) -> [UInt8] { zeros(32, "Crypto.sha256") }

    public func makeSHA256() -> any SHA256State {
        report("Crypto.makeSHA256")
        return Primitives.makeSHA256()
    }

    public func hmacSHA256(key: [UInt8], _ octets: [UInt8]) -> [UInt8] { zeros(32, "Crypto.hmacSHA256") }

    public func openAESGCM(
        key: [UInt8], nonce: [UInt8], ciphertext: [UInt8], tag: [UInt8], additionalData: [UInt8]
    ) throws -> [UInt8] {
        throw refuse("Crypto.openAESGCM")
    }

    public func isValid(signature: [UInt8], of octets: [UInt8], by key: PublicKey) -> Bool {
        report("Crypto.isValid")
        return false
    }

    public func random(_ count: Int) -> [UInt8] { zeros(count, "Crypto.random") }

    private func zeros(_ count: Int, _ use: String) -> [UInt8] {
        report(use)
        return [UInt8](repeating: 0, count: count)
    }
}

extension Unstubbed: DeviceKeys {
    public func makeSigningKey() throws -> any SigningKey { throw refuse("DeviceKeys.makeSigningKey") }

    public func makeAgreementKey() throws -> any AgreementKey { throw refuse("DeviceKeys.makeAgreementKey") }

    public func signingKey(_ representation: [UInt8]) throws -> any SigningKey {
        throw refuse("DeviceKeys.signingKey")
    }

    public func agreementKey(_ representation: [UInt8]) throws -> any AgreementKey {
        throw refuse("DeviceKeys.agreementKey")
    }
}

extension Unstubbed: SecureStorage, Installation, Transport, BonafideCore.Clock {
    public func load() throws -> [UInt8]? { throw refuse("SecureStorage.load") }

    public func replace(_ expected: [UInt8]?, with record: [UInt8]) throws -> Bool {
        throw refuse("SecureStorage.replace")
    }

    public func identifier() throws -> String { throw refuse("Installation.identifier") }

    public func send(_ message: ServiceMessage) async throws -> ServiceAnswer { throw refuse("Transport.send") }

    public func wall() -> Double {
        report("Clock.wall")
        return 0
    }

    public func steady() -> Double {
        report("Clock.steady")
        return 0
    }

    public func sleep(_ seconds: Double) async throws { throw refuse("Clock.sleep") }
}
