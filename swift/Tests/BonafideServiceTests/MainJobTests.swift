import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The main job against the real service: enrol, sign both ways, renew, and nothing more often than needed.
@Suite(.serialized, .enabled(if: RunningService.isPossible, "make setup makes the Python that the service runs in"))
struct MainJobTests {
    private static let service = Result { try RunningService() }
    private let service: RunningService

    init() throws { service = try Self.service.get() }

    @Test func theAppIsServedAfterOneEnrolmentAndNoOtherCall() async throws {
        let phone = Phone(service)
        let answer = try await phone.get("/api/config")
        #expect(answer.status == 200)
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.network.sent == ["challenge", "instances"])
        #expect(try await phone.get("/api/config").status == 200)
        #expect(try await phone.get("/api/config", proof: .hardware).status == 200)
        #expect(phone.network.sent.count == 2)
        #expect(try await phone.startedAgain().get("/api/config").status == 200)
        #expect(phone.attestor.attestCalls == 1)
    }

    @Test(arguments: ["17.2.1", "26.1", "27.0"]) func evidenceOfEachSystemIsAccepted(_ system: String) async throws {
        let phone = Phone(service, systemVersion: system)
        #expect(try await phone.get("/api/config").status == 200)
    }

    @Test func aLoginBindsItsBearerToThisPhone() async throws {
        let phone = Phone(service)
        let bearer = try await phone.logIn()
        #expect(try await phone.get("/api/me", bearer: bearer).status == 200)
        #expect(try await phone.get("/api/orders?open=1&a=%20b", bearer: bearer).status == 200)
        let thief = Phone(service)
        let stolen = try await thief.get("/api/me", bearer: bearer)
        #expect(stolen.status == 401)
        #expect(stolen.response.value(forHTTPHeaderField: "Bonafide-Action") == "give_up")
    }

    @Test func aRouteThatDemandsHardwareIsSignedAgainWithIt() async throws {
        let phone = Phone(service)
        var request = phone.request("/api/login", method: "POST")
        let body: JSON = ["username": "ada", "password": .string(service.users["ada"] ?? "")]
        request.httpBody = Data(body.octets)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        let unsafe = request
        await #expect(throws: BonafideError.outcomeUnknown(.signAgain)) {
            try await phone.bonafide.data(for: unsafe, proof: .session)
        }
        request.setValue(UUID().uuidString, forHTTPHeaderField: "Idempotency-Key")
        #expect(try await phone.bonafide.data(for: request, proof: .session).1.statusCode == 200)
    }

    @Test func twoHundredFirstCallsAtOnceMakeOneEnrolment() async throws {
        let phone = Phone(service)
        let before = try service.instances().count
        let answers = await atOnce(200) { _ in try await phone.get("/api/config").status }
        #expect(answers.allSatisfy { (try? $0.get()) == 200 })
        #expect(phone.attestor.attestCalls == 1)
        #expect(phone.network.sent == ["challenge", "instances"])
        #expect(try service.instances().count == before + 1)
    }

    @Test func aThousandRequestsAtOncePass() async throws {
        let phone = Phone(service)
        let bearer = try await phone.logIn()
        let answers = await atOnce(1000) { index in
            try await phone.get("/api/orders?n=\(index)", bearer: bearer, proof: index % 10 == 0 ? .hardware : .session)
                .status
        }
        let statuses = answers.map { outcome in (try? outcome.get()) ?? 0 }
        #expect(statuses.allSatisfy { $0 == 200 }, "\(Set(statuses))")
        #expect(phone.network.sent == ["challenge", "instances"])
    }

    @Test func anUploadedFileIsHashedAndSentAsItIs() async throws {
        let phone = Phone(service)
        let bearer = try await phone.logIn()
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data(#"{"article": 7, "count": 1}"#.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        var request = phone.request("/api/orders", method: "POST", bearer: bearer)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        let (_, response) = try await phone.bonafide.upload(for: request, fromFile: file)
        #expect((200..<500).contains(response.statusCode))
        #expect(try service.reasons().filter { $0.hasPrefix("proof.") } == [])
    }
}
