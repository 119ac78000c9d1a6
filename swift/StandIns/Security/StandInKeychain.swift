import Foundation

/// A data-protection keychain of generic passwords in memory, as securityd keeps it: class, access group, account,
/// service and synchronizable are an item's name; the other attributes narrow a search; each call is one transaction.
package final class StandInKeychain: @unchecked Sendable {
    /// The keychain of the task that asks, so that tests side by side have one each.
    @TaskLocal package static var current = StandInKeychain()

    /// What an app of this entitlement may use; a new item goes to the first unless it names another.
    package let accessGroups: [String]
    // Below is touched under the lock only.
    private let lock = NSLock()
    private var items: [[String: Any]] = []
    private var isLocked = false
    private var forced: OSStatus?

    package init(accessGroups: [String] = ["TEAM123456.com.example.app"]) { self.accessGroups = accessGroups }

    /// Before the first unlock: items are there, and nothing can be read or written.
    package func setLocked(_ isLocked: Bool) { lock.withLock { self.isLocked = isLocked } }

    /// Makes every call fail with a status; nil ends that.
    package func force(_ status: OSStatus?) { lock.withLock { forced = status } }

    /// All items, for tests to look at.
    package var contents: [[String: Any]] { lock.withLock { items } }

    func add(_ attributes: [String: Any], _ result: UnsafeMutablePointer<Any?>?) -> OSStatus {
        lock.withLock {
            if let status = obstacle(attributes) { return status }
            var item = attributes.filter { !Self.isDirective($0.key) }
            item[kSecAttrAccessGroup] = attributes[kSecAttrAccessGroup] ?? accessGroups.first
            item[kSecAttrSynchronizable] = attributes[kSecAttrSynchronizable] ?? false
            for name in [kSecAttrAccount, kSecAttrService] { item[name] = item[name] ?? "" }
            guard !items.contains(where: { Self.haveOneName($0, item) }) else { return errSecDuplicateItem }
            items.append(item)
            result?.pointee = Self.answer(attributes, item)
            return errSecSuccess
        }
    }

    func copyMatching(_ query: [String: Any], _ result: UnsafeMutablePointer<Any?>?) -> OSStatus {
        lock.withLock {
            if let status = obstacle(query) { return status }
            guard let item = items.first(where: { matches($0, query) }) else { return errSecItemNotFound }
            result?.pointee = Self.answer(query, item)
            return errSecSuccess
        }
    }

    func update(_ query: [String: Any], _ changes: [String: Any]) -> OSStatus {
        lock.withLock {
            guard !query.keys.contains(where: { $0 == kSecReturnData || $0 == kSecReturnAttributes }),
                !changes.keys.contains(where: Self.isDirective)
            else { return errSecParam }
            if let status = obstacle(query) { return status }
            let found = items.indices.filter { matches(items[$0], query) }
            guard !found.isEmpty else { return errSecItemNotFound }
            for index in found { items[index].merge(changes) { $1 } }
            return errSecSuccess
        }
    }

    func delete(_ query: [String: Any]) -> OSStatus {
        lock.withLock {
            if let status = obstacle(query) { return status }
            let count = items.count
            items.removeAll { matches($0, query) }
            return items.count < count ? errSecSuccess : errSecItemNotFound
        }
    }

    private func obstacle(_ query: [String: Any]) -> OSStatus? {
        if let forced { return forced }
        guard query[kSecClass] as? String == kSecClassGenericPassword,
            query[kSecUseDataProtectionKeychain] as? Bool == true
        else { return errSecParam }
        if let group = query[kSecAttrAccessGroup] as? String, !accessGroups.contains(group) {
            return errSecMissingEntitlement
        }
        return isLocked ? errSecInteractionNotAllowed : nil
    }

    private func matches(_ item: [String: Any], _ query: [String: Any]) -> Bool {
        guard let group = item[kSecAttrAccessGroup] as? String, accessGroups.contains(group) else { return false }
        let isSynchronized = query[kSecAttrSynchronizable] as? Bool ?? false
        return item[kSecAttrSynchronizable] as? Bool == isSynchronized
            && query.allSatisfy { name, value in
                Self.isDirective(name) || name == kSecAttrSynchronizable || Self.areEqual(item[name], value)
            }
    }

    private static func haveOneName(_ one: [String: Any], _ other: [String: Any]) -> Bool {
        [kSecClass, kSecAttrAccessGroup, kSecAttrAccount, kSecAttrService, kSecAttrSynchronizable].allSatisfy {
            areEqual(one[$0], other[$0])
        }
    }

    private static func areEqual(_ one: Any?, _ other: Any?) -> Bool {
        guard let one = one as? any Hashable, let other = other as? any Hashable else { return false }
        return AnyHashable(one) == AnyHashable(other)
    }

    private static func isDirective(_ name: String) -> Bool {
        [kSecReturnData, kSecReturnAttributes, kSecMatchLimit, kSecUseDataProtectionKeychain].contains(name)
    }

    /// Data alone where data alone was asked for, else the attributes with what else was asked for.
    private static func answer(_ query: [String: Any], _ item: [String: Any]) -> Any? {
        let wantsData = query[kSecReturnData] as? Bool == true
        guard query[kSecReturnAttributes] as? Bool == true else { return wantsData ? item[kSecValueData] : nil }
        return item.filter { wantsData || $0.key != kSecValueData }
    }
}
