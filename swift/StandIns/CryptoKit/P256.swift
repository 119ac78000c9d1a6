public import Foundation

/// The curve, as CryptoKit groups what is done on it.
public enum P256 {
    public enum Signing {
        public struct PublicKey: Sendable {
            let key: CurveKey

            init(key: CurveKey) { self.key = key }

            public init(x963Representation: some ContiguousBytes) throws {
                key = try P256.point(x963Representation)
            }

            public var x963Representation: Data { Data(key.x963) }

            public func isValidSignature(_ signature: ECDSASignature, for data: some DataProtocol) -> Bool {
                key.isValid(signature: Array(signature.rawRepresentation), of: Array(data))
            }
        }

        public struct ECDSASignature: Sendable {
            public let rawRepresentation: Data

            public init(rawRepresentation: some DataProtocol) throws {
                guard rawRepresentation.count == 64 else { throw CryptoKitError.incorrectParameterSize }
                self.rawRepresentation = Data(rawRepresentation)
            }
        }
    }

    public enum KeyAgreement {
        public struct PublicKey: Sendable {
            let key: CurveKey

            init(key: CurveKey) { self.key = key }

            public init(x963Representation: some ContiguousBytes) throws {
                key = try P256.point(x963Representation)
            }

            public var x963Representation: Data { Data(key.x963) }
        }
    }

    static func point(_ x963: some ContiguousBytes) throws -> CurveKey {
        let octets = x963.withUnsafeBytes { Array($0) }
        guard octets.count == 65 else { throw CryptoKitError.incorrectParameterSize }
        guard let key = CurveKey(publicKey: octets) else {
            throw CryptoKitError.underlyingCoreCryptoError(error: -7)
        }
        return key
    }
}

/// What two keys have in common; given out only by `withUnsafeBytes`, like CryptoKit's.
public struct SharedSecret: ContiguousBytes, Sendable {
    let octets: [UInt8]

    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try octets.withUnsafeBytes(body)
    }
}
