import Testing

@testable import Martlet

@Suite("Stage reports")
struct StageReportTests {
    let nonce = BootstrapNonce("0123456789abcdef")!

    func parse(_ body: String) -> StageReport? {
        StageReport.parse(line: Array("MARTLET-0123456789abcdef \(body)".utf8), nonce: nonce)
    }

    @Test("are read")
    func read() {
        #expect(parse("miss Linux x86_64") == .miss(system: "Linux", machine: "x86_64"))
        #expect(parse("miss\r") == .miss(system: "", machine: ""))
        #expect(parse("alive") == .alive)
        #expect(parse("start") == .start)
        #expect(parse("lost cache:quota") == .lost(PlaceFailure(place: "cache", reason: "quota")))
        #expect(parse("want memfd-perl") == .want(place: "memfd-perl"))
        #expect(parse("again /run:no-space") == .again(PlaceFailure(place: "/run", reason: "no-space")))
        #expect(
            parse("failed cache:noexec HOME:unset")
                == .failed([.init(place: "cache", reason: "noexec"), .init(place: "HOME", reason: "unset")]))
        #expect(
            parse("ready cache 1 ,zstd,gzip 1000 0,2")
                == .ready(
                    .init(
                        place: "cache", isKept: true, encodings: [.raw, .gzip, .zstd], freeKiB: 1000, missing: [0, 2])))
        #expect(
            parse("ready memfd-perl 0 , - 0")
                == .ready(
                    .init(
                        place: "memfd-perl", isKept: false, encodings: [.raw], freeKiB: nil, missing: [0])))
    }

    @Test(
        "that break the grammar are none",
        arguments: [
            "", "miss Linux", "miss Linux ../x", "miss Linux $(id)", "alive now", "ready cache 1 , -",
            "ready cache 2 , - 0", "ready cache 1 , - 0,0", "ready cache 1 , - -1", "ready cache 1 , - x",
            "ready cache 1 , - ,", "again noexec", "failed cache", "lost", "lost cache", "start now", "want", "hello",
            "miss Linux x86_64\u{7}",
        ])
    func malformed(body: String) {
        #expect(parse(body) == nil)
    }

    @Test("of another nonce are none")
    func otherNonce() {
        #expect(StageReport.parse(line: Array("MARTLET-0123456789abcdee alive".utf8), nonce: nonce) == nil)
    }
}
