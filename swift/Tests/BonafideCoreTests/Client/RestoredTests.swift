import BonafideTestSupport
import Testing

@testable import BonafideCore

/// A backup brings the Keychain's record back to the device that made it, beside an enclave that was erased since.
@Suite struct RestoredTests {
    private let phone = Phone()

    @Test func keysThatAreReadAndSignNothingAreReplacedInAFreshInstall() async throws {
        _ = try await phone.enrolled()
        let before = phone.record?.signingKey
        phone.installation.current = "install-2"
        phone.keys.useFailure = .lost
        // What is made next can sign: the failure is that of the keys from before.
        let client = phone.start { [keys = SoftwareDeviceKeys()] _, world in
            world.keys = Erased(before: phone.keys, now: keys)
        }
        try await client.prepare()
        #expect(phone.record?.signingKey != before)
        #expect(phone.state == "enrolled")
    }

    @Test(arguments: [("install-2", KeyFailure.unavailable), ("install-1", .lost)])
    func aKeyThatMayComeBackIsKept(install: String, failure: KeyFailure) async throws {
        _ = try await phone.enrolled()
        let before = phone.record?.signingKey
        phone.installation.current = install
        phone.keys.useFailure = failure
        phone.clock.advance(4000)
        await #expect(throws: BonafideError.keyUnavailable) { try await phone.start().prepare() }
        #expect(phone.record?.signingKey == before)
        phone.keys.useFailure = nil
        try await phone.start().prepare()
        #expect(phone.record?.signingKey == before)
    }

    /// Finds the keys from before, and makes others.
    private struct Erased: DeviceKeys {
        let before: SoftwareDeviceKeys
        let now: SoftwareDeviceKeys

        func makeSigningKey() throws -> any SigningKey { try now.makeSigningKey() }
        func makeAgreementKey() throws -> any AgreementKey { try now.makeAgreementKey() }
        func signingKey(_ form: [UInt8]) throws -> any SigningKey { try before.signingKey(form) }
        func agreementKey(_ form: [UInt8]) throws -> any AgreementKey { try before.agreementKey(form) }
    }
}
