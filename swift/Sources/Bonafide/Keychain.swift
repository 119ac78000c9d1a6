public import BonafideCore
import CryptoKit
import Foundation
import Security

/// The record in the Keychain: on this device alone, readable from the first unlock after a restart on.
///
/// Not called `Keychain`, since many apps have a type of that name. All Keychain code of the SDK is in this file. Calls
/// go to another process and block: never from the main thread.
public struct KeychainStorage: SecureStorage {
    private let service: String
    private let account: String
    private let accessGroup: String?

    /// One record for each `app` at each `service`. With `accessGroup`, an app and its extensions share it; without,
    /// it is in the first group of the process.
    public init(service: String, app: String, accessGroup: String? = nil) {
        self.service = "bonafide \(service)"
        account = app
        self.accessGroup = accessGroup
    }

    public func load() throws -> [UInt8]? {
        var found: CFTypeRef?
        let query = item([
            kSecReturnData as String: true, kSecMatchLimit as String: kSecMatchLimitOne,
        ])
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound { return nil }
        try Self.check(status)
        guard let data = found as? Data else { throw StorageFailure.failed(Int(errSecParam)) }
        return [UInt8](data)
    }

    /// The swap is atomic in securityd, which runs each call as one transaction: an addition fails where there is an
    /// item of that name, and an update finds only the item whose digest is that of `expected`.
    public func replace(_ expected: [UInt8]?, with record: [UInt8]) throws -> Bool {
        let content: [String: Any] = [
            kSecValueData as String: Data(record), kSecAttrGeneric as String: Self.digest(record),
        ]
        guard let expected else {
            var attributes = item(content)
            attributes[kSecAttrAccessible as String] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
            let status = SecItemAdd(attributes as CFDictionary, nil)
            if status == errSecDuplicateItem { return false }
            try Self.check(status)
            return true
        }
        let query = item([kSecAttrGeneric as String: Self.digest(expected)])
        let status = SecItemUpdate(query as CFDictionary, content as CFDictionary)
        if status == errSecItemNotFound { return false }
        try Self.check(status)
        return true
    }

    private func item(_ more: [String: Any]) -> [String: Any] {
        Self.item(service: service, account: account, accessGroup: accessGroup).merging(more) { $1 }
    }

    private static func item(service: String, account: String, accessGroup: String?) -> [String: Any] {
        var item: [String: Any] = [
            kSecClass as String: kSecClassGenericPassword,
            kSecAttrService as String: service,
            kSecAttrAccount as String: account,
            kSecAttrSynchronizable as String: false,
            // The Mac has a second keychain, of files, which knows neither access groups nor this accessibility.
            kSecUseDataProtectionKeychain as String: true,
        ]
        if let accessGroup { item[kSecAttrAccessGroup as String] = accessGroup }
        return item
    }

    private static func digest(_ record: [UInt8]) -> Data { Data(SHA256.hash(data: record)) }

    private static func check(_ status: OSStatus) throws {
        switch status {
        case errSecSuccess: return
        case errSecInteractionNotAllowed: throw StorageFailure.unavailable
        default: throw StorageFailure.failed(Int(status))
        }
    }
}

extension KeychainStorage {
    /// The prefix of this app's App ID, which is its team id for all apps but those from before 2011.
    ///
    /// No API tells it; but each item's access group begins with it, so one item is put there to look at, and stays.
    /// Nil where the group has no such beginning. Throws `StorageFailure`.
    static func appIDPrefix() throws -> String? {
        let query = item(service: "bonafide", account: "app id prefix", accessGroup: nil)
        var attributes = query
        attributes[kSecAttrAccessible as String] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        attributes[kSecValueData as String] = Data()
        let added = SecItemAdd(attributes as CFDictionary, nil)
        if added != errSecDuplicateItem { try check(added) }
        var found: CFTypeRef?
        let question = query.merging([
            kSecReturnAttributes as String: true, kSecMatchLimit as String: kSecMatchLimitOne,
        ]) { $1 }
        try check(SecItemCopyMatching(question as CFDictionary, &found))
        let group = (found as? [String: Any])?[kSecAttrAccessGroup as String] as? String
        guard let prefix = group?.split(separator: ".").first, prefix.utf8.count == 10,
            prefix.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) })
        else { return nil }
        return String(prefix)
    }
}
