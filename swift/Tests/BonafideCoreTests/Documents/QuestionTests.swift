import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What an enrolled app asks the service for, and what becomes of it on the way.
@Suite struct QuestionTests {
    private let phone = Phone()

    @Test func secretsComeToTheInstanceThatAskedAndNobodyKeepsThem() async throws {
        phone.service.setSecrets(["maps": "one", "payments": "two"])
        let client = try await phone.enrolled()
        let before = phone.storage.record
        let secrets = try await client.secrets()
        #expect(secrets.names == ["maps", "payments"])
        #expect((secrets["maps"], secrets["payments"], secrets["other"]) == ("one", "two", nil))
        #expect((secrets.version, secrets.expiresAt) == (1, Int(phone.clock.wallTime) + 3600))
        #expect(phone.storage.record == before)
        phone.service.setSecrets(["maps": "three"])
        let later = try await client.secrets()
        #expect((later.version, later["maps"], later["payments"]) == (2, "three", nil))
    }

    @Test func aValueSaysNothingOfWhatItHolds() async throws {
        phone.service.setSecrets(["maps": "hush-1"])
        phone.service.setConfiguration(shared: ["a": "hush-2"], sealed: ["b": "hush-3"])
        let client = try await phone.enrolled()
        var said = ""
        let (secrets, configuration) = (try await client.secrets(), try await client.remoteConfiguration())
        dump(secrets, to: &said)
        dump(configuration, to: &said)
        said += "\(secrets) \(configuration) \(String(reflecting: secrets)) \(String(reflecting: configuration))"
        #expect(said.contains("AppSecrets(redacted)"))
        #expect(!said.contains("hush") && !said.contains("maps"))
    }

    @Test func theConfigurationHasAPartForAllAndOneForThisInstance() async throws {
        phone.service.setConfiguration(shared: ["colour": "blue", "limits": ["items": 20]], sealed: ["group": "b"])
        let configuration = try await phone.enrolled().remoteConfiguration()
        #expect(configuration.shared["colour"] == "blue")
        #expect(configuration.shared["limits"]?["items"] == 20)
        #expect(configuration.sealed["group"] == "b")
        #expect(configuration.sealed["colour"] == nil)
        #expect((configuration.shared.version, configuration.sealed.version) == (1, 1))
    }

    @Test func whoHasNothingSetGetsNothing() async throws {
        let client = try await phone.enrolled()
        #expect(try await client.secrets().names == [])
        #expect(try await client.remoteConfiguration().shared.json == [:])
        let refused = BonafideError.refused(status: 404, action: nil, record: "simulated")
        #expect(await failure { _ = try await client.pins(holding: nil) } == refused)
    }

    /// The service demands it, so a session proof would cost a round trip each time.
    @Test func secretsAreAskedForByHardwareAndTheRestBySession() async throws {
        phone.service.publishPins(pins)
        let sent = Guarded<[ServiceMessage]>([])
        let client = phone.start { [phone] _, world in
            world.transport = Rewriting(service: phone.service) { message in
                sent.withLock { $0.append(message) }
                return message
            }
        }
        _ = try await client.secrets()
        _ = try await client.remoteConfiguration()
        _ = try await client.pins(holding: nil)
        let questions = sent.withLock { $0.filter { $0.method == "GET" } }
        #expect(
            questions.map(\.url) == ["secrets", "configuration", "pins"].map { "\(phone.configuration.service)/\($0)" })
        #expect(questions.allSatisfy { $0.body.isEmpty })
        let inputs = questions.map { $0.headers.first { $0.name == "signature-input" }?.value ?? "" }
        #expect(inputs.map { $0.contains("ecdsa-p256-sha256") } == [true, false, false])
    }

    @Test func aRefusalIsFollowedAsThatOfAnyRequest() async throws {
        phone.service.setSecrets(["maps": "one"])
        let client = try await phone.enrolled()
        phone.service.next(.secrets, .refused(.init(action: .renew)), .refused(.init(action: .signAgain)))
        #expect(try await client.secrets()["maps"] == "one")
        #expect((phone.service.count(.secrets), phone.service.count(.renewals)) == (3, 1))
        phone.service.always(.secrets, .refused(.init(status: 403, action: .giveUp)))
        let refused = BonafideError.refused(status: 403, action: .giveUp, record: "simulated")
        #expect(await failure { _ = try await client.secrets() } == refused)
        phone.service.always(.secrets, .refused(.init(status: 503, action: .backOff, retryAfter: "60")))
        #expect(await failure { _ = try await client.secrets() } == .busy(retryAfter: 60))
        phone.service.always(.secrets, .down)
        #expect(await failure { _ = try await client.secrets() } == .transport("ServiceIsDown()"))
    }

    @Test func aDeviceIsEnrolledBeforeItAsks() async throws {
        phone.service.setSecrets(["maps": "one"])
        #expect(try await phone.start().secrets()["maps"] == "one")
        #expect(phone.service.count(.instances) == 1)
    }

    @Test(arguments: ["", "[]", "{", "{}", #"{"secrets":null}"#, #"{"secrets":1}"#, #"{"secrets":"a","secrets":"a"}"#])
    func anAnswerOfAnotherFormIsRefused(_ text: String) async throws {
        let client = try await phone.enrolled()
        phone.service.next(
            .secrets, .forged { ServiceAnswer(head: $0.head, body: Array(text.utf8)) })
        #expect(await failure { _ = try await client.secrets() } == .answerRefused("document.malformed"))
    }

    /// This SDK's devices have a key to seal to: null is somebody who takes the values away.
    @Test func aConfigurationWithoutItsSealedPartIsRefused() async throws {
        let client = try await phone.enrolled()
        phone.service.next(.configuration, .forged(members: ["sealed": .null]))
        #expect(await failure { _ = try await client.remoteConfiguration() } == .answerRefused("document.malformed"))
    }

    @Test func twoDocumentsOfFullLengthFitIntoAnAnswer() async throws {
        let long = JSON.string(.init(repeating: "a", count: 36_000))
        phone.service.setConfiguration(shared: ["a": long], sealed: ["b": long])
        let configuration = try await phone.enrolled().remoteConfiguration()
        #expect(configuration.shared["a"] == long)
        #expect(configuration.sealed["b"] == long)
    }

    @Test func aLockedDeviceOpensLater() async throws {
        phone.service.setSecrets(["maps": "one"])
        phone.service.setConfiguration(shared: [:], sealed: [:])
        let client = try await phone.enrolled()
        _ = try await client.remoteConfiguration()
        phone.service.next(
            .configuration,
            .forged { [phone] answer in
                phone.keys.useFailure = .unavailable
                return answer
            })
        #expect(await failure { _ = try await client.remoteConfiguration() } == .keyUnavailable)
        phone.keys.useFailure = nil
        _ = try await client.remoteConfiguration()
    }

    let pins = ["api.example.com": [1, 2].map { Base64.encoded([UInt8](repeating: $0, count: 32)) }]
}
