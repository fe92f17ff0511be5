import Distributed
import MartletTestSupport
import Testing

@testable import MartletActors

/// Which names of methods are taken for an actor's own.
@Suite struct ActorTargetTests {
    @Test func `Its own methods are, and nothing of other types`() throws {
        let name = try #require(_mangledTypeName(Listener.self))
        func isMethod(_ rest: String) -> Bool { ActorTarget.isMethod("$s\(name)\(rest)", of: Listener.self) }
        #expect(isMethod("4hearySiSSYaKFTE"))
        #expect(isMethod("9hearTwiceySiSSYaKFTE"))
        #expect(isMethod("5countSivgTE"))
        #expect(isMethod("4hear0cA0ySiSSYaKFTE"))
        #expect(isMethod("0C5Soon_yFTE") && isMethod("0cD0yFTE") && isMethod("0c2HiB4TheyyFTE"))
        for rest in [
            "", "TE", "4hear", "5InnerC4hearySiSSYaKFTE", "5InnerV4hearTE", "5OtherE4hearTE", "4hearyyF5LocalL_C3barTE",
            "99hearTE", "hearTE", "0TE", "00TE", "0C0CTE", "0cC0VTE", "0C4HearCTE", "0c4HearTE", "AATE",
            "4hearySiSSYaKF", "5InnerO1xTE", "C4hearTE",
        ] { #expect(!isMethod(rest), "\(rest)") }
        #expect(!ActorTarget.isMethod("$s5Other8ListenerC4hearTE", of: Listener.self))
        #expect(!ActorTarget.isMethod("", of: Listener.self))
        #expect(!ActorTarget.isMethod("$s\(try #require(_mangledTypeName(Box<Int>.self)))4swapTE", of: Box<Int>.self))
    }
}
