import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite struct RedirectTests {
    private func order(_ method: String = "POST") -> URLRequest {
        var request = URLRequest(url: link("https://api.example.com/v1/orders?x=1"))
        request.httpMethod = method
        request.httpBody = Data([1])
        request.setValue("text/plain", forHTTPHeaderField: "Content-Type")
        request.setValue("Bearer t", forHTTPHeaderField: "Authorization")
        return request
    }

    @Test(arguments: [307, 308])
    func methodAndBodyAreKept(status: Int) throws {
        let next = try #require(Redirect(after: order(), status: status, location: "/v2/orders"))
        #expect(next.keepsBody)
        #expect(next.request.url?.absoluteString == "https://api.example.com/v2/orders")
        #expect(next.request.httpMethod == "POST")
        #expect(next.request.httpBody == Data([1]))
        #expect(next.request.value(forHTTPHeaderField: "Content-Type") == "text/plain")
    }

    @Test(arguments: [301, 302, 303])
    func anUnsafeMethodBecomesGet(status: Int) throws {
        for method in ["POST", "PUT", "DELETE"] {
            let next = try #require(Redirect(after: order(method), status: status, location: "done"))
            #expect(!next.keepsBody)
            #expect(next.request.url?.absoluteString == "https://api.example.com/v1/done")
            #expect(next.request.httpMethod == "GET")
            #expect(next.request.httpBody == nil)
            #expect(next.request.value(forHTTPHeaderField: "Content-Type") == nil)
            #expect(next.request.value(forHTTPHeaderField: "Authorization") == "Bearer t")
        }
        for method in ["GET", "HEAD"] {
            let next = try #require(Redirect(after: order(method), status: status, location: "done"))
            #expect(next.request.httpMethod == method)
        }
    }

    @Test(arguments: [
        "https://api.example.com/a", "https://API.example.com:443/a", "//api.example.com/a", "/a",
        "/%61#part", "/x/../a",
    ])
    func theSameOriginIsFollowed(location: String) throws {
        let next = try #require(Redirect(after: order(), status: 307, location: location))
        #expect(next.request.url?.absoluteString == "https://api.example.com/a")
    }

    @Test(arguments: [
        "https://other.example.com/a", "//other.example.com/a", "http://api.example.com/a",
        "https://api.example.com:8443/a", "https://user@api.example.com/a", "https://api.example.com@evil.test/",
        "/a//b", "/a%2fb", "javascript:alert(1)", "",
    ])
    func whatLeadsElsewhereIsNotFollowed(location: String) {
        #expect(Redirect(after: order(), status: 307, location: location) == nil)
    }

    @Test(arguments: [200, 201, 300, 304, 305, 306, 309, 400, 401])
    func otherAnswersAreNoRedirects(status: Int) {
        #expect(Redirect(after: order(), status: status, location: "/a") == nil)
        #expect(Redirect(after: order(), status: 302, location: nil) == nil)
    }
}
