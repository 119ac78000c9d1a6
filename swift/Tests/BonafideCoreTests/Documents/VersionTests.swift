import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What every install of the app reads is bound to no question: its version never falls, across starts and processes.
@Suite struct VersionTests {
    private let phone = Phone()
    private let lower = BonafideError.answerRefused("document.version_lower")

    private func pins(_ octet: UInt8) -> [String: [String]] {
        ["api.example.com": [octet, 99].map { Base64.encoded([UInt8](repeating: $0, count: 32)) }]
    }

    private func embedded() throws -> PinDocument {
        try PinDocument(
            try #require(phone.service.pinDocument), pins: phone.configuration.serviceKeys, app: Phone.app,
            crypto: SoftwareCrypto())
    }

    /// The answer that `ask` gets, for later.
    private func keeping(
        _ endpoint: SimulatedService.Endpoint, _ ask: () async throws -> Void
    ) async throws -> ServiceAnswer {
        let kept = Guarded<ServiceAnswer?>(nil)
        phone.service.next(
            endpoint,
            .forged { answer in
                kept.withLock { $0 = answer }
                return answer
            })
        try await ask()
        return try #require(kept.withLock { $0 })
    }

    @Test func anEarlierConfigurationIsRefusedAlsoAfterARestart() async throws {
        phone.service.setConfiguration(shared: ["a": 1], sealed: [:])
        let client = try await phone.enrolled()
        let first = try await keeping(.configuration) { _ = try await client.remoteConfiguration() }
        let shared = try #require(JSON(octets: first.body)?["public"])
        phone.service.next(.configuration, .forged(members: ["public": shared]))
        #expect(try await client.remoteConfiguration().shared.version == 1, "the same version is no lower one")
        phone.service.setConfiguration(shared: ["a": 2], sealed: [:])
        #expect(try await client.remoteConfiguration().shared["a"] == 2)
        for client in [client, phone.start(), phone.startExtension()] {
            phone.service.next(.configuration, .forged(members: ["public": shared]))
            #expect(await failure { _ = try await client.remoteConfiguration() } == lower)
        }
        #expect(phone.record?.documents.configuration == 2)
    }

    @Test func anEarlierPinDocumentIsRefusedAlsoAfterARestartAndAReinstall() async throws {
        phone.service.publishPins(pins(1))
        let client = try await phone.enrolled()
        let first = try await keeping(.pins) { _ = try await client.pins(holding: nil) }
        phone.service.publishPins(pins(2))
        #expect(try await client.pins(holding: nil).version == 2)
        phone.service.next(.pins, .forged { _ in first })
        #expect(await failure { _ = try await client.pins(holding: nil) } == lower)
        phone.installation.current = "install-2"
        phone.attestor.forgetKeys()
        let again = phone.start()
        #expect(try again.heldPins(embedded: nil)?.version == 2)
        phone.service.next(.pins, .forged { _ in first })
        #expect(await failure { _ = try await again.pins(holding: nil) } == lower)
    }

    @Test func keysThatAreLostTakeNoVersionAlong() async throws {
        phone.service.publishPins(pins(1))
        phone.service.setConfiguration(shared: [:], sealed: [:])
        let client = try await phone.enrolled()
        _ = try await client.pins(holding: nil)
        _ = try await client.remoteConfiguration()
        let before = try #require(phone.record?.documents)
        phone.keys.restoreFailure = .lost
        let again = phone.start()
        _ = try? await again.prepare()
        #expect(phone.record?.documents == before)
        #expect((before.pins, before.configuration) == (1, 1))
    }

    /// A document that is older than the one that the app carries was never taken here, and is refused all the same.
    @Test func theDocumentThatTheAppCarriesCountsAsSeen() async throws {
        phone.service.publishPins(pins(1))
        let client = try await phone.enrolled()
        let first = try await keeping(.pins) { _ = try await client.pins(holding: nil) }
        phone.service.publishPins(pins(2))
        let carried = try embedded()
        phone.storage.record = nil
        let fresh = phone.start()
        #expect(try fresh.heldPins(embedded: carried) == carried)
        phone.service.next(.pins, .forged { _ in first })
        #expect(await failure { _ = try await fresh.pins(holding: carried) } == lower)
    }

    @Test func theNewestOfCarriedAndKeptHolds() async throws {
        phone.service.publishPins(pins(1))
        let first = try embedded()
        phone.service.publishPins(pins(2))
        let client = try await phone.enrolled()
        let second = try await client.pins(holding: first)
        #expect(second.version == 2)
        #expect(try phone.start().heldPins(embedded: first) == second)
        #expect(try phone.start().heldPins(embedded: nil) == second)
        phone.service.publishPins(pins(3))
        let third = try embedded()
        #expect(try phone.start().heldPins(embedded: third) == third)
        #expect(try phone.start().heldPins(embedded: first) == third, "a build from before goes on with what was newer")
    }

    @Test func whatWasKeptCountsOnlyUnderAKeyThatIsPinnedNow() async throws {
        phone.service.publishPins(pins(1))
        let client = try await phone.enrolled()
        _ = try await client.pins(holding: nil)
        let other = phone.start { configuration, _ in configuration.serviceKeys = ["other"] }
        #expect(try other.heldPins(embedded: nil) == nil)
    }

    @Test func theSameVersionIsTakenWhereItEndsLater() async throws {
        phone.service.publishPins(pins(1), lasting: 1000)
        let client = try await phone.enrolled()
        let short = try await client.pins(holding: nil)
        let payload: JSON = [
            "app": "shop", "version": 1, "exp": .integer(short.expiresAt + 500),
            "pins": [
                "a.test": .array(
                    [1, 2].map { .string(Base64.encoded([UInt8](repeating: $0, count: 32))) })
            ],
        ]
        let longer = try phone.service.issuer.sign(payload.octets, type: "bonafide-pins+jwt")
        phone.service.next(.pins, .forged(members: ["pins": .string(longer)]))
        let held = try await client.pins(holding: short)
        #expect(held.expiresAt == short.expiresAt + 500)
        #expect(try await client.pins(holding: held) == held, "and what ends earlier changes nothing")
    }

    @Test func pinsThatHaveEndedAreNotTaken() async throws {
        phone.service.publishPins(pins(1), lasting: 100)
        let client = try await phone.enrolled()
        let first = try await keeping(.pins) { _ = try await client.pins(holding: nil) }
        phone.clock.advance(101)
        phone.service.next(.pins, .forged { _ in first })
        #expect(await failure { _ = try await client.pins(holding: nil) } == .answerRefused("document.expired"))
    }

    /// Two processes that ask at once: whoever is later sees what the other one kept.
    @Test func theHighestOfManyAnswersAtOnceIsKept() async throws {
        phone.service.publishPins(pins(1))
        try await phone.enrolled().prepare()
        let documents = try (1...8).shuffled().map { version in
            let claims: JSON = ["app": "shop", "version": .integer(version), "exp": 2_000_000_000, "pins": [:]]
            return try phone.service.issuer.sign(claims.octets, type: "bonafide-pins+jwt")
        }
        for document in documents { phone.service.next(.pins, .forged(members: ["pins": .string(document)])) }
        await withTaskGroup(of: Void.self) { [phone] group in
            for _ in documents { group.addTask { _ = try? await phone.start().pins(holding: nil) } }
        }
        #expect(phone.record?.documents.pins == 8)
        #expect(try phone.start().heldPins(embedded: nil)?.version == 8)
    }

    @Test func theServiceIsAskedOnceADay() async throws {
        phone.service.publishPins(pins(1))
        let client = try await phone.enrolled()
        #expect(try await client.pinsWhereDue(holding: nil)?.version == 1)
        phone.service.publishPins(pins(2))
        phone.clock.advance(86_399)
        #expect(try await phone.start().pinsWhereDue(holding: nil) == nil)
        phone.clock.advance(1)
        #expect(try await phone.start().pinsWhereDue(holding: nil)?.version == 2)
        #expect(phone.service.count(.pins) == 2)
    }

    @Test func whereNoAnswerCameTheNextCallAsksAndARefusalIsOne() async throws {
        let client = try await phone.enrolled()
        phone.service.next(.pins, .down)
        #expect(await failure { _ = try await client.pinsWhereDue(holding: nil) } == .transport("ServiceIsDown()"))
        #expect(await failure { _ = try await client.pinsWhereDue(holding: nil) } != nil)
        #expect(try await client.pinsWhereDue(holding: nil) == nil)
        #expect(phone.service.count(.pins) == 2)
    }
}
