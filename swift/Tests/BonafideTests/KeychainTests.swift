import Foundation
import Security
import Testing

@testable import Bonafide
@testable import BonafideCore

@Suite struct KeychainTests {
    private let group = "TEAM123456.com.example.shared"

    private func isolated(
        _ keychain: StandInKeychain = StandInKeychain(), _ work: (StandInKeychain) throws -> Void
    ) throws {
        try StandInKeychain.$current.withValue(keychain) { try work(keychain) }
    }

    private let storage = KeychainStorage(service: "https://api.example.com/bonafide/v1", app: "shop")

    @Test func nothingIsThereUntilSomethingIsPutThere() throws {
        try isolated { _ throws in
            #expect(try storage.load() == nil)
            #expect(try storage.replace(nil, with: [1, 2]))
            #expect(try storage.load() == [1, 2])
        }
    }

    @Test func twoThatAddAreOneThatWins() throws {
        try isolated { _ throws in
            #expect(try storage.replace(nil, with: [1]))
            #expect(try storage.replace(nil, with: [2]) == false)
            #expect(try storage.load() == [1])
        }
    }

    @Test func onlyWhatWasExpectedIsReplaced() throws {
        try isolated { _ throws in
            #expect(try storage.replace([1], with: [2]) == false)
            #expect(try storage.load() == nil)
            #expect(try storage.replace(nil, with: [1]))
            #expect(try storage.replace([9], with: [2]) == false)
            #expect(try storage.load() == [1])
            #expect(try storage.replace([1], with: [2]))
            #expect(try storage.replace([1], with: [3]) == false)
            #expect(try storage.load() == [2])
        }
    }

    @Test func ofManyWhoSwapAtOnceOneWins() async throws {
        let keychain = StandInKeychain()
        try await StandInKeychain.$current.withValue(keychain) {
            _ = try storage.replace(nil, with: [0])
            let wins = try await withThrowingTaskGroup(of: Bool.self) { tasks in
                for number in UInt8(1)...50 {
                    tasks.addTask { [storage] in try storage.replace([0], with: [number]) }
                }
                return try await tasks.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(wins == 1)
        }
    }

    @Test func aLockedKeychainIsUnavailableNeverEmpty() throws {
        try isolated { keychain throws in
            _ = try storage.replace(nil, with: [1])
            keychain.setLocked(true)
            #expect(throws: StorageFailure.unavailable) { try storage.load() }
            #expect(throws: StorageFailure.unavailable) { try storage.replace(nil, with: [2]) }
            #expect(throws: StorageFailure.unavailable) { try storage.replace([1], with: [2]) }
            #expect(throws: StorageFailure.unavailable) { try KeychainStorage.appIDPrefix() }
            keychain.setLocked(false)
            #expect(try storage.load() == [1])
        }
    }

    @Test(arguments: [OSStatus(-34018), -25291, -50, -26276])
    func everyOtherStatusIsAFailureWithItsNumber(status: OSStatus) throws {
        try isolated { keychain throws in
            keychain.force(status)
            #expect(throws: StorageFailure.failed(Int(status))) { try storage.load() }
            #expect(throws: StorageFailure.failed(Int(status))) { try storage.replace(nil, with: [1]) }
            #expect(throws: StorageFailure.failed(Int(status))) { try storage.replace([1], with: [2]) }
        }
    }

    @Test func theItemStaysOnThisDeviceAndIsReadableInTheBackground() throws {
        try isolated { keychain throws in
            _ = try storage.replace(nil, with: [1])
            let item = try #require(keychain.contents.first)
            #expect(item[kSecAttrAccessible] as? String == kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly)
            #expect(item[kSecAttrSynchronizable] as? Bool == false)
            _ = try storage.replace([1], with: [2])
            #expect(keychain.contents.count == 1)
            #expect(
                keychain.contents.first?[kSecAttrAccessible] as? String
                    == kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly)
        }
    }

    @Test func anExtensionOfTheSameGroupSeesTheRecordAndOthersDoNot() throws {
        let keychain = StandInKeychain(accessGroups: ["TEAM123456.com.example.app", group])
        try isolated(keychain) { keychain throws in
            let shared = KeychainStorage(service: "s", app: "shop", accessGroup: group)
            _ = try shared.replace(nil, with: [1])
            #expect(keychain.contents.first?[kSecAttrAccessGroup] as? String == group)
            #expect(try KeychainStorage(service: "s", app: "shop", accessGroup: group).load() == [1])
            #expect(try KeychainStorage(service: "s", app: "other", accessGroup: group).load() == nil)
            #expect(try KeychainStorage(service: "t", app: "shop", accessGroup: group).load() == nil)
        }
    }

    @Test func aGroupWithoutEntitlementFails() throws {
        try isolated { _ throws in
            let foreign = KeychainStorage(service: "s", app: "shop", accessGroup: "OTHER12345.group")
            #expect(throws: StorageFailure.failed(-34018)) { try foreign.load() }
        }
    }

    @Test func theAppIDPrefixIsReadFromAnItemsGroupAgainAndAgain() throws {
        try isolated { keychain throws in
            #expect(try KeychainStorage.appIDPrefix() == "TEAM123456")
            #expect(try KeychainStorage.appIDPrefix() == "TEAM123456")
            #expect(keychain.contents.count == 1)
        }
        try isolated(StandInKeychain(accessGroups: ["group.com.example"])) { _ throws in
            #expect(try KeychainStorage.appIDPrefix() == nil)
        }
    }
}
