import Martlet
import MartletFleet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct GroupTests {
    @Test func `One call for all: an outcome each, in order, also for a host that is there twice`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let group = try martlet.group(["local", "local?nice=1", "local"])
            #expect(group.map(\.name) == ["local", "local#2", "local#3"])
            let results = try await group.call(Add(a: 1, b: 2))
            #expect(results.map(\.value) == [3, 3, 3])
            #expect(try results.get() == [3, 3, 3])
            #expect(results.group.count == 3)
        }
    }
}
