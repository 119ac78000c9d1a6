import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What befalls a device: locked storage, reinstall, restore, lost keys, no App Attest at all.
@Suite struct DeviceTests {
    private let phone = Phone()

    @Test func lockedStorageIsNotTakenForEmpty() async throws {
        let enrolled = try await phone.enrolled().prove().clientAttestation
        let stored = phone.storage.record
        phone.storage.isLocked = true
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .storageUnavailable)
        #expect(await failure { try await client.prepare() } == .storageUnavailable)
        #expect(phone.storage.record == stored)
        #expect(phone.keys.signingKeysMade == 1)
        #expect(phone.attestor.keysMade == 1)
        #expect(phone.service.messages == 2)
        phone.storage.isLocked = false
        #expect(try await client.prove().clientAttestation == enrolled)
        #expect(phone.service.messages == 2)
    }

    @Test func aMarkerThatCannotBeReadIsNotTakenForAnotherInstall() async throws {
        try await phone.enrolled().prepare()
        let stored = phone.storage.record
        phone.installation.failure = .unavailable
        #expect(await failure { try await phone.start().prove() } == .storageUnavailable)
        #expect(phone.storage.record == stored)
        phone.installation.failure = nil
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func storageThatFailsForGoodSaysItsNumber() async throws {
        phone.storage.failNextLoads([.failed(-34_018)])
        #expect(await failure { try await phone.start().prove() } == .storageFailed(-34_018))
        #expect(phone.storage.record == nil)
    }

    @Test func aReinstallKeepsTheDevicesKeysAndAttestsOneNew() async throws {
        try await phone.enrolled().prepare()
        var before = try #require(phone.record)
        before.lease = .init(holder: "deleted", run: nil, until: phone.clock.wallTime + 60)
        phone.storage.record = before.octets
        let instances = phone.service.instances
        phone.installation.current = "install-2"
        phone.attestor.forgetKeys()
        try await phone.start().prove()
        #expect(phone.clock.sleeps.isEmpty)  // nobody of the deleted app runs any more
        #expect(phone.record?.signingKey == before.signingKey)
        #expect(phone.record?.agreementKey == before.agreementKey)
        #expect(phone.record?.installation == "install-2")
        #expect(phone.keys.signingKeysMade == 1)
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.service.instances == instances)
    }

    @Test func aKeyThatWentWithAReinstallNobodyNoticedIsReplacedOnce() async throws {
        phone.service.next(.challenge, .down)
        #expect(await failure { try await phone.start().prove() } == .transport("ServiceIsDown()"))
        phone.attestor.forgetKeys()
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.attestor.keysMade == 2)
        #expect(phone.service.count(.instances) == 1)
    }

    @Test func aRestoreToAnotherDeviceBeginsAnew() async throws {
        try await phone.enrolled().prepare()
        let before = phone.record?.signingKey
        phone.keys.restoreFailure = .lost
        phone.attestor.forgetKeys()
        let client = phone.start()
        let fields = try await client.prove(.hardware)
        phone.keys.restoreFailure = nil
        #expect(phone.record?.signingKey != before)
        #expect(fields.clientAttestation == phone.enrolment?.attestation)
        #expect(phone.attestor.attestCalls == 2)
        #expect(phone.service.instances.count == 2)
    }

    @Test func anAttestationOfKeysThatAreGoneIsNotUsed() async throws {
        let client = try await phone.enrolled()
        phone.storage.record = nil
        phone.clock.advance(240)
        phone.service.next(.challenge, .down)
        #expect(await failure { try await client.prepare() } == .transport("ServiceIsDown()"))
        #expect(try await client.prove().clientAttestation == phone.enrolment?.attestation)
        #expect(phone.keys.signingKeysMade == 2)
    }

    @Test func emptyStorageOnAnotherDeviceBeginsAnew() async throws {
        try await phone.enrolled().prepare()
        phone.storage.record = nil
        phone.attestor.forgetKeys()
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 2)
    }

    @Test func aRecordThatNobodyWroteBeginsAnew() async throws {
        phone.storage.record = Array("{}".utf8)
        try await phone.start().prove()
        #expect(phone.state == "enrolled")
        #expect(phone.storage.conflicts == 0)
    }

    @Test func keysThatAreNotUsableNowChangeNothing() async throws {
        try await phone.enrolled().prepare()
        let stored = phone.storage.record
        phone.keys.restoreFailure = .unavailable
        #expect(await failure { try await phone.start().prove() } == .keyUnavailable)
        #expect(phone.storage.record == stored)
        phone.keys.restoreFailure = nil
        phone.keys.useFailure = .unavailable
        let client = phone.start()
        #expect(await failure { try await client.prove(.hardware) } == .keyUnavailable)
        phone.keys.useFailure = nil
        try await client.prove(.hardware)
        #expect(phone.keys.signingKeysMade == 1)
        #expect(phone.service.messages == 2)
    }

    @Test func keysThatCannotBeMadeLeaveNothingBehind() async throws {
        phone.keys.makeFailure = .unavailable
        #expect(await failure { try await phone.start().prove() } == .keyUnavailable)
        #expect(phone.storage.record == nil)
        phone.keys.makeFailure = nil
        try await phone.start().prove()
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func anAnswerThatCannotBeOpenedNowIsAskedForAgain() async throws {
        phone.service.hold(.instances)
        let client = phone.start()
        let call = Task { await failure { try await client.prove() } }
        await phone.service.untilHeld(.instances)
        phone.keys.useFailure = .unavailable
        phone.service.release(.instances)
        #expect(await call.value == .keyUnavailable)
        #expect(phone.state == "attested")
        phone.keys.useFailure = nil
        try await client.prove()
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.service.count(.instances) == 2)
    }

    @Test func aDeviceWithoutAppAttestFailsByDefault() async throws {
        phone.attestor.failNextKeys([.unsupported, .unsupported])
        let client = phone.start()
        #expect(await failure { try await client.prove() } == .unsupportedDevice)
        #expect(await failure { try await client.prove() } == .unsupportedDevice)
        #expect(phone.service.messages == 0)
        #expect(phone.state == "none")
    }

    @Test func aDeviceWithoutAppAttestEnrolsWithoutEvidenceWherePolicySaysSo() async throws {
        phone.attestor.failNextKeys([.unsupported])
        let client = phone.start { configuration, _ in configuration.unsupportedDevices = .enrolWithoutEvidence }
        let first = try await client.prove().clientAttestation
        #expect(phone.attestor.attestCalls == 0)
        #expect(phone.enrolment?.key == nil)
        #expect(phone.service.messages == 2)
        phone.clock.advance(301)
        #expect(try await client.prove().clientAttestation != first)
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.attestor.assertCalls == 0)
    }

    @Test func aDeviceWithoutAppAttestThatIsAskedForAnAssertionIsRefused() async throws {
        phone.attestor.failNextKeys([.unsupported])
        let client = phone.start { configuration, _ in configuration.unsupportedDevices = .enrolWithoutEvidence }
        try await client.prove()
        phone.clock.advance(301)
        phone.service.always(.renewals, .refused(.init(action: .retryWithChallenge)))
        let error = await failure { try await client.prove() }
        #expect(error == .refused(status: 401, action: .retryWithChallenge, record: "simulated"))
        #expect(phone.service.count(.renewals) == 2)
        #expect(phone.attestor.assertCalls == 0)
    }

    @Test func appAttestThatIsUnsupportedOnlyWhenAskedFollowsTheSamePolicy() async throws {
        phone.attestor.failNextAttestations([.unsupported])
        #expect(await failure { try await phone.start().prove() } == .unsupportedDevice)
        phone.attestor.failNextAttestations([.unsupported])
        let client = phone.start { configuration, _ in configuration.unsupportedDevices = .enrolWithoutEvidence }
        try await client.prove()
        #expect(phone.enrolment?.key == nil)
        #expect(phone.attestor.attestCalls == 2)
    }
}

/// Extensions share the app's enrolment, and neither make one nor assert.
@Suite struct ExtensionTests {
    private let phone = Phone()

    @Test func anExtensionWithoutAnEnrolmentSaysThatTheAppMustRun() async throws {
        #expect(await failure { try await phone.startExtension().prove() } == .appMustRun)
        #expect(phone.storage.record == nil)
        #expect(phone.keys.signingKeysMade == 0)
        #expect(phone.service.messages == 0)
    }

    @Test func anExtensionDoesNotGoOnWithAnEnrolmentHalfWay() async throws {
        phone.service.next(.instances, .down)
        #expect(await failure { try await phone.start().prove() } != nil)
        let stored = phone.storage.record
        #expect(await failure { try await phone.startExtension().prove() } == .appMustRun)
        #expect(phone.record?.enrolment == stored.flatMap(Record.init)?.enrolment)
        #expect(phone.record?.lease == nil)
        #expect(phone.service.count(.instances) == 1)
    }

    @Test func anExtensionUsesTheAppsEnrolmentAndRenewsByTheSignKey() async throws {
        let enrolled = try await phone.enrolled().prove().clientAttestation
        let client = phone.startExtension()
        #expect(try await client.prove().clientAttestation == enrolled)
        #expect(phone.service.messages == 2)
        phone.clock.advance(301)
        try await client.prove()
        #expect(phone.service.count(.renewals) == 1)
        #expect(phone.attestor.assertCalls == 0)
        #expect(phone.record?.installation == "install-1")
    }

    @Test func anExtensionThatWouldHaveToAssertLeavesItToTheApp() async throws {
        try await phone.enrolled().prepare()
        phone.clock.advance(301)
        phone.service.demandAssertions()
        #expect(await failure { try await phone.startExtension().prove() } == .appMustRun)
        #expect(phone.attestor.assertCalls == 0)
        #expect(phone.state == "enrolled")
        try await phone.start().prove()
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test func anExtensionEnrolsNobodyAgain() async throws {
        try await phone.enrolled().prepare()
        phone.clock.advance(301)
        phone.service.forget()
        #expect(await failure { try await phone.startExtension().prove() } == .appMustRun)
        #expect(phone.state == "enrolled")
        let api = ScriptedAPI(.refusing(.enrolAgain))
        let other = Phone()
        try await other.enrolled().prepare()
        #expect(await failure { _ = try await other.startExtension().perform(at: api) } == .appMustRun)
        #expect(other.state == "enrolled")
        #expect(other.attestor.attestCalls == 1)
    }

    @Test func anExtensionWhoseKeysAreLostChangesNothing() async throws {
        try await phone.enrolled().prepare()
        let stored = phone.storage.record
        phone.keys.restoreFailure = .lost
        #expect(await failure { try await phone.startExtension().prove() } == .appMustRun)
        #expect(phone.storage.record == stored)
    }
}
