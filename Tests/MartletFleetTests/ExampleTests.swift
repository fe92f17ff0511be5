import Martlet
import MartletFleet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct ExampleTests {
    @Test func `The example of the front page`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let web = try martlet.group(["local?nice=[1-4]", "local?dir=/nowhere"])
            var rolling = FleetStrategy(batches: [1, .percent(40), .rest], failures: .count(2))
            rolling.retry = RetryPolicy(connects: 1)
            rolling.retry.pause = .milliseconds(10)
            rolling.verify = { batch in try await batch.succeeded.run("true").get() }
            let results = try await web.with(rolling).run("uname -s")
            #expect("\(results)" == "4 ok, 1 unreachable")
            #expect(results.grouped(by: \.text).map(\.content) == ["Linux\n"])
            #expect("\(results.failed)" == "Group(local#5)")
            await web.close()
        }
    }
}
