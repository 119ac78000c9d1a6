public import BonafideCore
import CryptoKit
import Foundation
import Security

/// The device's two keys, in the Secure Enclave. They never leave it: what is stored is the enclave's wrapped form.
public struct EnclaveKeys: DeviceKeys {
    public init() {}

    public func makeSigningKey() throws -> any SigningKey {
        let access = try Self.access()
        return try EnclaveSigningKey(
            Self.attempt(.use) {
                try SecureEnclave.P256.Signing.PrivateKey(compactRepresentable: false, accessControl: access)
            })
    }

    public func makeAgreementKey() throws -> any AgreementKey {
        let access = try Self.access()
        return try EnclaveAgreementKey(
            Self.attempt(.use) {
                try SecureEnclave.P256.KeyAgreement.PrivateKey(compactRepresentable: false, accessControl: access)
            })
    }

    public func signingKey(_ representation: [UInt8]) throws -> any SigningKey {
        guard SecureEnclave.isAvailable else { throw KeyFailure.unavailable }
        return try EnclaveSigningKey(
            Self.attempt(.load) {
                try SecureEnclave.P256.Signing.PrivateKey(dataRepresentation: Data(representation))
            })
    }

    public func agreementKey(_ representation: [UInt8]) throws -> any AgreementKey {
        guard SecureEnclave.isAvailable else { throw KeyFailure.unavailable }
        return try EnclaveAgreementKey(
            Self.attempt(.load) {
                try SecureEnclave.P256.KeyAgreement.PrivateKey(dataRepresentation: Data(representation))
            })
    }

    /// Usable whenever the record is readable, hence in the background too. CryptoKit's default is stricter: only
    /// while the device is unlocked.
    private static func access() throws -> SecAccessControl {
        guard SecureEnclave.isAvailable,
            let access = SecAccessControlCreateWithFlags(
                nil, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, .privateKeyUsage, nil)
        else { throw KeyFailure.unavailable }
        return access
    }

    enum Phase {
        case load, sign, use
    }

    fileprivate static func attempt<Answer>(_ phase: Phase, _ work: () throws -> Answer) throws -> Answer {
        do {
            return try work()
        } catch {
            throw failure(of: error, in: phase)
        }
    }

    /// A key that is called lost is replaced, and with it the instance; so only what says plainly that this enclave
    /// cannot read the stored form, or cannot sign by it, counts as that.
    static func failure(of error: any Error, in phase: Phase) -> KeyFailure {
        switch error {
        case CryptoKitError.incorrectKeySize, CryptoKitError.incorrectParameterSize:
            return phase == .load ? .lost : .unavailable
        case is CryptoKitError: return .unavailable
        default: break
        }
        let report = error as NSError
        // CryptoTokenKit's corruptedData (-3) and objectNotFound (-6), or Security's words for the same.
        let isPlain =
            switch report.domain {
            case "CryptoTokenKit": report.code == -3 || report.code == -6
            case NSOSStatusErrorDomain:
                phase == .load && [errSecDecode, errSecParam].map(Int.init).contains(report.code)
            default: false
            }
        guard isPlain else { return .unavailable }
        switch phase {
        // A locked device answers -3 as well, with the key store's own error in it.
        case .load: return saysKeyStore(report) ? .unavailable : .lost
        // An enclave that was erased says the same with another of the key store's errors.
        case .sign: return isNotPermitted(report) ? .unavailable : .lost
        case .use: return .unavailable
        }
    }

    private static let keyStore = "AKSError"
    /// kIOReturnNotPermitted: the key store's answer while the device is locked.
    private static let notPermitted = -536_870_174

    private static func saysKeyStore(_ report: NSError) -> Bool {
        report.userInfo[NSUnderlyingErrorKey] != nil || report.userInfo[keyStore] != nil
    }

    private static func isNotPermitted(_ report: NSError) -> Bool {
        [notPermitted, Int(errSecInteractionNotAllowed)].contains(report.code)
            || report.userInfo[keyStore] as? Int == notPermitted
            || (report.userInfo[NSUnderlyingErrorKey] as? NSError).map(isNotPermitted) == true
    }
}

/// The key `sign`.
private final class EnclaveSigningKey: SigningKey, @unchecked Sendable {
    // Never changed. The handle is a value, and the enclave takes one question after the other.
    private let key: SecureEnclave.P256.Signing.PrivateKey
    let publicKey: PublicKey
    let representation: [UInt8]

    init(_ key: SecureEnclave.P256.Signing.PrivateKey) throws {
        guard let publicKey = PublicKey(x963: key.publicKey.x963Representation) else { throw KeyFailure.unavailable }
        self.key = key
        self.publicKey = publicKey
        representation = [UInt8](key.dataRepresentation)
    }

    func signature(of octets: [UInt8]) throws -> [UInt8] {
        try EnclaveKeys.attempt(.sign) { [UInt8](try key.signature(for: octets).rawRepresentation) }
    }
}

/// The key `agree`.
private final class EnclaveAgreementKey: AgreementKey, @unchecked Sendable {
    // As that of `EnclaveSigningKey`.
    private let key: SecureEnclave.P256.KeyAgreement.PrivateKey
    let publicKey: PublicKey
    let representation: [UInt8]

    init(_ key: SecureEnclave.P256.KeyAgreement.PrivateKey) throws {
        guard let publicKey = PublicKey(x963: key.publicKey.x963Representation) else { throw KeyFailure.unavailable }
        self.key = key
        self.publicKey = publicKey
        representation = [UInt8](key.dataRepresentation)
    }

    func sharedSecret(with key: PublicKey) throws -> [UInt8] {
        // A point that is not on the curve fails here, and is no matter of this key.
        let other = try P256.KeyAgreement.PublicKey(x963Representation: key.x963)
        return try EnclaveKeys.attempt(.use) {
            try self.key.sharedSecretFromKeyAgreement(with: other).withUnsafeBytes { [UInt8]($0) }
        }
    }
}
