// The names are Apple's, which callers must find here.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import Foundation

// These three are Security's. They stand here because CryptoKit's own initialisers take the type, and one stand-in
// does not import the other.
public struct SecAccessControl: Sendable {
    package let protection: String
    package let flags: SecAccessControlCreateFlags
}

public struct SecAccessControlCreateFlags: OptionSet, Sendable {
    public let rawValue: UInt

    public init(rawValue: UInt) { self.rawValue = rawValue }

    public static let privateKeyUsage = SecAccessControlCreateFlags(rawValue: 1 << 30)
}

public func SecAccessControlCreateWithFlags(
    _ allocator: AnyObject?, _ protection: Any, _ flags: SecAccessControlCreateFlags, _ error: UnsafeMutableRawPointer?
) -> SecAccessControl? {
    (protection as? String).map { SecAccessControl(protection: $0, flags: flags) }
}

/// LocalAuthentication's; the SDK never makes one.
public final class LAContext: Sendable {}

/// An enclave in software. What it wraps, only the same enclave unwraps.
package final class StandInEnclave: Sendable {
    /// The enclave of the task that asks, so that tests side by side have one each.
    @TaskLocal package static var current = StandInEnclave()

    package let isAvailable: Bool
    /// What wraps keys: another enclave has another mark.
    let mark = [UInt8](UUID().uuidString.utf8)
    private let failure: @Sendable (Phase) -> (any Error)?

    package enum Phase: Sendable {
        case make, load, use
    }

    /// `failure` is thrown in place of an answer, as a test wants it.
    package init(isAvailable: Bool = true, failure: @escaping @Sendable (Phase) -> (any Error)? = { _ in nil }) {
        self.isAvailable = isAvailable
        self.failure = failure
    }

    func admit(_ phase: Phase) throws {
        if let error = failure(phase) { throw error }
    }

    func wrap(_ key: CurveKey) -> Data { Data(mark + key.scalar + key.x963) }

    /// What this enclave would store of a key that a test brings.
    package func wrapped(_ x963: [UInt8], scalar: [UInt8]) -> [UInt8] { mark + scalar + x963 }

    func unwrap(_ data: Data) throws -> CurveKey {
        try admit(.load)
        let octets = Array(data)
        guard octets.count == mark.count + 97 else { throw CryptoKitError.incorrectParameterSize }
        guard octets.starts(with: mark) else { throw Self.foreign }
        let key = octets.dropFirst(mark.count)
        guard let key = CurveKey(publicKey: Array(key.suffix(65)), scalar: Array(key.prefix(32))) else {
            throw Self.foreign
        }
        return key
    }

    /// What CryptoTokenKit reports of a blob that is not its enclave's.
    private static var foreign: NSError {
        NSError(
            domain: "CryptoTokenKit", code: -3, userInfo: [NSLocalizedDescriptionKey: "corrupted objectID detected"])
    }
}

public enum SecureEnclave {
    public static var isAvailable: Bool { StandInEnclave.current.isAvailable }

    public enum P256 {
        public enum Signing {
            public struct PrivateKey {
                let key: CurveKey
                public let dataRepresentation: Data

                public init(
                    compactRepresentable: Bool = true, accessControl: SecAccessControl,
                    authenticationContext: LAContext? = nil
                ) throws {
                    try StandInEnclave.current.admit(.make)
                    key = CurveKey.generated()
                    dataRepresentation = StandInEnclave.current.wrap(key)
                }

                public init(dataRepresentation: Data, authenticationContext: LAContext? = nil) throws {
                    key = try StandInEnclave.current.unwrap(dataRepresentation)
                    self.dataRepresentation = dataRepresentation
                }

                public var publicKey: CryptoKit.P256.Signing.PublicKey { .init(key: key) }

                public func signature(
                    for data: some DataProtocol
                ) throws -> CryptoKit.P256.Signing.ECDSASignature {
                    try StandInEnclave.current.admit(.use)
                    return try .init(rawRepresentation: key.signature(of: Array(data)))
                }
            }
        }

        public enum KeyAgreement {
            public struct PrivateKey {
                let key: CurveKey
                public let dataRepresentation: Data

                public init(
                    compactRepresentable: Bool = true, accessControl: SecAccessControl,
                    authenticationContext: LAContext? = nil
                ) throws {
                    try StandInEnclave.current.admit(.make)
                    key = CurveKey.generated()
                    dataRepresentation = StandInEnclave.current.wrap(key)
                }

                public init(dataRepresentation: Data, authenticationContext: LAContext? = nil) throws {
                    key = try StandInEnclave.current.unwrap(dataRepresentation)
                    self.dataRepresentation = dataRepresentation
                }

                public var publicKey: CryptoKit.P256.KeyAgreement.PublicKey { .init(key: key) }

                public func sharedSecretFromKeyAgreement(
                    with publicKeyShare: CryptoKit.P256.KeyAgreement.PublicKey
                ) throws -> SharedSecret {
                    try StandInEnclave.current.admit(.use)
                    guard let secret = key.sharedSecret(with: publicKeyShare.key) else {
                        throw CryptoKitError.underlyingCoreCryptoError(error: -7)
                    }
                    return SharedSecret(octets: secret)
                }
            }
        }
    }
}
