import Testing

@testable import Martlet

@Suite("The bootstrap plan")
struct BootstrapPlanTests {
    let nonce = BootstrapNonce("0123456789abcdef")!
    let image = ImageParts(
        id: "abcd", isDynamic: false, parts: [.init(name: "image", hash: "ff", byteCount: 10)!])!

    func plan() -> BootstrapPlan {
        BootstrapPlan(first: FirstStage(nonce: nonce, policy: .disk, imageID: "abcd")!)
    }

    func line(_ body: String) -> [UInt8] { Array("MARTLET-0123456789abcdef \(body)\n".utf8) }
    var hello: [UInt8] { nonce.helloMarker }

    /// A plan that has sent the second stage.
    func probing(
        encodings: Set<PartEncoding> = [.zstd, .gzip], roundTrip: Duration = .milliseconds(30)
    ) -> BootstrapPlan {
        var plan = plan()
        #expect(plan.received(line("miss Linux x86_64")) == [.chooseImage(system: "Linux", machine: "x86_64")])
        let second = SecondStage.line(image: image, first: plan.first, machine: "x86_64")
        #expect(plan.imageChosen(image, encodings: encodings) == [.send(second)])
        #expect(plan.received(line("alive"), elapsed: roundTrip) == [])
        return plan
    }

    func kind(_ actions: [BootstrapPlan.Action]) -> BootstrapFailure.Kind? {
        if case .fail(let failure)? = actions.last { failure.kind } else { nil }
    }

    @Test("links up at once when the image is cached")
    func hit() {
        var plan = plan()
        #expect(plan.received(Array("motd\n".utf8) + hello + [9, 8]) == [.linkUp(remaining: [9, 8])])
        #expect(plan.received([1]) == [] && plan.ended() == [])
    }

    @Test(
        "chooses the encoding by the round trip and by what both sides have",
        arguments: [
            ([PartEncoding.gzip, .zstd], ",zstd,gzip", 2, PartEncoding.raw), ([.gzip, .zstd], ",zstd,gzip", 3, .zstd),
            ([.gzip, .zstd], ",gzip", 30, .gzip), ([.gzip], ",zstd,gzip", 30, .gzip), ([.zstd], ",gzip", 30, .raw),
            ([], ",zstd,gzip", 30, .raw), ([.gzip, .zstd], ",", 30, .raw),
        ])
    func encoding(here: [PartEncoding], there: String, milliseconds: Int, expected: PartEncoding) {
        var plan = probing(encodings: Set(here), roundTrip: .milliseconds(milliseconds))
        let actions = plan.received(line("ready cache 1 \(there) 500 0"), elapsed: .seconds(9))
        #expect(actions == [.sendParts([0], encoding: expected)])
        #expect(plan.ready?.place == "cache")
        #expect(plan.received(hello) == [.linkUp(remaining: [])])
    }

    @Test("sends again when a place fails, and an interpreter's program when it is wanted")
    func again() {
        var plan = probing()
        #expect(plan.received(line("ready /run 0 , - 0")) == [.sendParts([0], encoding: .raw)])
        #expect(plan.received(line("again /run:no-space")) == [])
        #expect(plan.received(line("want memfd-python3")) == [.send(MemfdStage.line(.python3))])
        #expect(plan.received(line("ready memfd-python3 0 ,gzip - 0")) == [.sendParts([0], encoding: .gzip)])
        #expect(plan.received(line("again memfd-python3:damaged") + line("alive")) == [])
        #expect(
            plan.received(Array("lecture\n".utf8) + line("failed /run:no-space memfd-python3:damaged")) == [
                .fail(
                    BootstrapFailure(
                        kind: .noPlace,
                        places: [
                            .init(place: "/run", reason: "no-space"), .init(place: "memfd-python3", reason: "damaged"),
                        ],
                        noise: Array("lecture\n".utf8)))
            ])
    }

    @Test("tells in which phase the far side ended or the deadline passed")
    func phases() {
        var looking = plan()
        #expect(kind(looking.ended()) == .nothingReported)
        var none = plan()
        _ = none.received(line("miss Linux mips"))
        #expect(kind(none.imageChosen(nil, encodings: [])) == .noImage(system: "Linux", machine: "mips"))
        var early = probing()
        #expect(kind(early.ended()) == .ended)
        var late = probing()
        _ = late.received(line("ready cache 1 , - 0"))
        #expect(kind(late.ended()) == .ended)
        late = probing()
        _ = late.received(line("ready cache 1 , - 0") + line("start"))
        #expect(!late.isStartingCached)
        #expect(kind(late.ended()) == .agentDidNotStart)
        var cached = plan()
        #expect(cached.received(line("start")) == [] && cached.isStartingCached)
        #expect(kind(cached.ended()) == .cachedDidNotStart)
        var slow = probing()
        #expect(kind(slow.deadlinePassed()) == .deadline(phase: "looking for a place for the image"))
    }

    @Test("takes a miss where the cached image could not be executed, and what a shell reports that outlived it")
    func outlived() {
        var plan = plan()
        #expect(plan.received(line("start")) == [])
        #expect(plan.received(line("miss Linux x86_64")) == [.chooseImage(system: "Linux", machine: "x86_64")])
        _ = plan.imageChosen(image, encodings: [])
        _ = plan.received(line("alive") + line("ready memfd-perl 0 , - 0") + line("start"))
        #expect(plan.received(line("again memfd-perl:exec-failed")) == [])
        #expect(kind(plan.received(line("failed memfd-perl:exec-failed"))) == .noPlace)
        plan = probing()
        _ = plan.received(line("ready cache 1 , - 0") + line("start"))
        #expect(kind(plan.received(line("failed cache:exec-failed"))) == .noPlace)
        plan = probing()
        _ = plan.received(line("ready cache 1 , - 0"))
        #expect(kind(plan.received(line("lost cache:quota"))) == .lost)
    }

    @Test("fails on reports out of turn, and on a far side that never comes to an end")
    func untrusted() {
        for body in ["alive", "ready cache 1 , - 0", "want memfd-perl", "again a:b", "failed", "lost a:b"] {
            var plan = plan()
            guard case .unexpectedReport? = kind(plan.received(line(body))) else {
                Issue.record("\(body) was taken")
                continue
            }
        }
        var plan = probing()
        #expect(kind(plan.received(line("ready cache 1 , - 0,1"))) != nil)
        plan = probing()
        #expect(kind(plan.received(line("start"))) != nil)
        plan = probing()
        #expect(kind(plan.received(line("want bash"))) != nil)
        plan = probing()
        #expect(kind(plan.received(hello)) == .ended)
        plan = probing()
        var rounds = 0
        while kind(plan.received(line("ready cache 1 , - 0") + line("again cache:failed"))) == nil { rounds += 1 }
        #expect(rounds < 50)
    }

    @Test("refuses images whose names could not stand in a command line")
    func names() {
        for name in ["", "a b", "../x", "-rf", ".x", "a;b", "a$b", "a/b", String(repeating: "a", count: 129)] {
            #expect(ImageParts.Part(name: name, hash: "ff", byteCount: 1) == nil)
        }
        let part = ImageParts.Part(name: "libc++.so.1", hash: "ff", byteCount: 1)
        #expect(part != nil && ImageParts.Part(name: "a", hash: "FF", byteCount: 1) == nil)
        #expect(ImageParts(id: "ab", isDynamic: true, parts: [part!, part!, part!]) == nil)
        #expect(ImageParts(id: "ab", isDynamic: false, parts: [part!, part!]) == nil)
        #expect(ImageParts(id: "ab", isDynamic: true, parts: []) == nil)
    }

    @Test("sends another runtime's program when its interpreter is found, and takes no report that belongs to images")
    func script() {
        let first = FirstStage(nonce: nonce, policy: .nothing, imageID: "0")!
        var plan = BootstrapPlan(first: first, runsScript: true)
        #expect(plan.received(line("alive")) == [.sendProgram])
        #expect(plan.received(hello + [7]) == [.linkUp(remaining: [7])])
        var dead = BootstrapPlan(first: first, runsScript: true)
        _ = dead.received(line("alive"))
        let failure = dead.ended()
        #expect(kind(failure) == .scriptDidNotStart)
        if case .fail(let failure)? = failure.first { #expect(failure.isWorthCare) }
        var none = BootstrapPlan(first: first, runsScript: true)
        #expect(kind(none.received(line("failed python3:absent"))) == .noInterpreter)
        var wrong = BootstrapPlan(first: first, runsScript: true)
        #expect(
            kind(wrong.received(line("miss Linux x86_64")))
                == .unexpectedReport(.miss(system: "Linux", machine: "x86_64")))
        var image = self.plan()
        #expect(kind(image.received(line("alive"))) == .unexpectedReport(.alive))
    }
}
