import Glibc
import Martlet
import MartletPython
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletFleet

/// Runs `body` with a group, and what it needs.
func withGroup(_ specs: [String], _ body: @Sendable (Group) async throws -> Void) async throws {
    try await withMartlet(OutputLog().options) { martlet in
        try await martlet.withGroup(specs) { group in try await body(group) }
    }
}

@Suite(.leakChecked) struct GroupTests {
    @Test func `A group counts, finds, iterates and describes its members, and keeps their order`() async throws {
        try await withGroup(["web[03,02]", "local", "db5", "local?nice=1"]) { group in
            #expect(group.count == 5)
            #expect(group.map(\.name) == ["web03", "web02", "local", "db5", "local#2"])
            #expect(group[2].name == "local")
            #expect(group["local#2"] == group[4])
            #expect(group.contains("db5") && !group.contains("db6"))
            #expect(group.contains(GroupMember("db5")))
            #expect("\(group)" == "Group(db5,local,local#2,web[02-03])")
            #expect("\(group[4])" == "local#2")
            // Nothing was started.
            #expect(group.connected.isEmpty)
        }
    }

    @Test func `Two of one name are refused before anything is started`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let members = [try MemberSpec("local", name: "sub1"), try MemberSpec("local", name: "sub1")]
            let error = try await expectError(.misuse) { try martlet.group(members) }
            #expect(error.message.contains("sub1"))
            #expect(throws: SpecError.self) { try martlet.group(["local?nce=5"]) }
            #expect(throws: SpecError.self) { try martlet.group(["web[3-1]"]) }
            let group = try martlet.group([
                try MemberSpec("local", name: "sub1"), try MemberSpec("local", name: "sub2"),
            ])
            #expect(try await group.call(Add(a: 1, b: 1)).get() == [2, 2])
            #expect(group["sub1"] == group[0])
            await group.close()
        }
    }

    @Test func `One call for all: an outcome each, in order, also for a host that is there twice`() async throws {
        try await withGroup(["local", "local", "local"]) { group in
            let ids = try await group.call(ProcessID()).get()
            #expect(Set(ids).count == 3)
            // The same contexts serve further calls.
            #expect(try await group.call(ProcessID()).get() == ids)
            let results = try await group.call { Echo(value: $0.name) }
            #expect(results.map(\.value) == ["local", "local#2", "local#3"])
            #expect(results["local#2"]?.value == "local#2")
            #expect(results[GroupMember("local", number: 3)]?.value == "local#3")
            #expect(results.allSatisfy { $0.attempts == 1 && $0.timings != nil })
            try await group.call(Nothing()).get()
        }
    }

    @Test func `Each way to end is an outcome of its own, and harms no other`() async throws {
        try await withGroup(["local", "local", "local", "local", "local?dir=/nowhere/at/all", "local"]) { group in
            let kinds: [String: Behave.Kind] = ["local#2": .fail, "local#3": .last, "local#4": .die]
            let results = try await group.call(timeout: .seconds(5)) { Behave(kind: kinds[$0.name] ?? .fine) }
            #expect(
                results.map(\.outcome.kind) == [.ok, .failed, .timedOut, .unreachable, .unreachable, .ok],
                "\(results.map(\.outcome))")
            #expect("\(results)" == "2 ok, 1 failed, 1 timed out, 2 unreachable")
            #expect(results.successes.map(\.value) == ["fine", "fine"])
            #expect(results.failures.map(\.member.name) == ["local#2", "local#3", "local#4", "local#5"])
            #expect(results.succeeded.map(\.name) == ["local", "local#6"])
            #expect(results.unreached.map(\.name) == ["local#4", "local#5"])
            let error = try #require(throws: GroupError.self) { try results.get() }
            #expect(error.failures.count == 4 && error.count == 6)
            #expect("\(error)".hasPrefix("4 of 6 failed\nlocal#"))
            #expect("\(error)".contains("as told"))
            // Those alone once more: who died is connected anew.
            let again = try await results.failed.call(Behave(kind: .fine))
            #expect(again.map(\.member.name) == ["local#2", "local#3", "local#4", "local#5"])
            #expect(again.map(\.outcome.kind) == [.ok, .ok, .ok, .unreachable], "\(again.map(\.outcome))")
        }
    }

    @Test func `What failed alike is told once, under folded names`() async throws {
        try await withGroup(["local?dir=/nowhere/[1-12]"]) { group in
            let results = try await group.call(Nothing())
            let text = "\(try #require(throws: GroupError.self) { try results.get() })"
            #expect(text.hasPrefix("12 of 12 failed\n"))
        }
        let members = ["web1", "web2", "web10", "db1"].map { GroupMember($0) }
        let failures = members.map { member -> (member: GroupMember, error: any Error) in
            let route = Route(steps: ["ssh:\(member.name)"])
            let text = member.name == "db1" ? "refused" : "ssh: \(member.name): no answer from \(member.name)"
            return (
                member, MartletError(.unreachable, text, route: route, phase: .reach, advice: "ping \(member.name)")
            )
        }
        let error = GroupError(failures, of: 20, stop: nil)
        #expect(
            "\(error)" == """
                4 of 20 failed
                web[1-2,10]: ssh: {host}: no answer from {host} [phase reach]
                      try: ping {host}
                db1: refused [controller → ssh:db1, phase reach]
                      try: ping db1
                """)
    }

    @Test func `A group without members, and one of which all fail, have results too`() async throws {
        try await withGroup([]) { group in
            let results = try await group.call(Add(a: 1, b: 1))
            #expect(results.isEmpty && results.allSucceeded)
            #expect(try results.get() == [])
            #expect("\(results)" == "no members")
        }
        try await withGroup(["local?dir=/nowhere"]) { group in
            let results = try await group.call(Add(a: 1, b: 1))
            #expect(results.count == 1 && results.successes.isEmpty)
        }
    }

    @Test func `Groups are sets: union, intersection, difference, of contexts and specs alike`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let one = try await martlet.connect(.local)
            let two = try await martlet.connect(.local)
            let pair = Group([one]).union(Group([two]))
            // Both are called "local": the same member. As one group they are two.
            #expect(pair.count == 1)
            let both = Group([one, two])
            #expect(both.map(\.name) == ["local", "local#2"])
            let web = try martlet.group(["web[1-4]"])
            let odd = try martlet.group(["web[3,1,9]"])
            #expect((web + odd).map(\.name) == ["web1", "web2", "web3", "web4", "web9"])
            #expect((web & odd).map(\.name) == ["web1", "web3"])
            #expect((web - odd).map(\.name) == ["web2", "web4"])
            #expect((web ^ odd).map(\.name) == ["web2", "web4", "web9"])
            #expect((web | both).map(\.name) == ["web1", "web2", "web3", "web4", "local", "local#2"])
            #expect(web.filter { $0.name > "web2" }.map(\.name) == ["web3", "web4"])
            // Connections are shared.
            let all = both + web
            let ids = try await all.selecting(both).call(ProcessID()).get()
            #expect(ids == [one.facts.processID, two.facts.processID])
            await both.close()
            #expect(try await both.call(ProcessID()).map(\.outcome.kind) == [.unreachable, .unreachable])
        }
    }

    @Test func `Members are chosen by what they answer, or do not`() async throws {
        try await withGroup(["local", "local?nice=3", "local"]) { group in
            let mine = getpriority(__priority_which_t(0), 0)
            let alike = try await group.filter(by: HasNice(level: mine))
            #expect(alike.map(\.name) == ["local", "local#3"])
            #expect(try await group.filter(by: HasNice(level: mine), excluding: true).map(\.name) == ["local#2"])
        }
        try await withGroup(["local", "local?dir=/nowhere"]) { group in
            let error = try await #require(throws: GroupError.self) { try await group.filter(by: HasNice(level: 0)) }
            #expect(error.failures.map(\.member.name) == ["local#2"])
        }
    }

    @Test func `Closing ends a sleeper in time, and who is used again is connected anew`() async throws {
        try await withGroup(["local", "local"]) { group in
            let first = try await group.call(ProcessID()).get()
            #expect(group.connected.count == 2)
            async let late = group.call(Behave(kind: .last))
            await eventually {
                try await group.context(of: group[0]).status().running > 0
            }
            await group.close(within: .seconds(1))
            #expect(try await late.map(\.outcome.kind) == [.unreachable, .unreachable])
            #expect(group.connected.isEmpty)
            await eventually { first.allSatisfy { ProcessTable.entry(of: $0) == nil } }
            let second = try await group.call(ProcessID()).get()
            #expect(Set(first).isDisjoint(with: second))
            #expect(try await group.reconnect().allSucceeded)
        }
    }

    @Test func `One spec makes many: directory and nice level hold in each`() async throws {
        try await TestFolder.with { folder in
            try await withGroup(Array(repeating: "local?dir=\(folder.path)&nice=7", count: 3)) { group in
                let results = try await group.run("pwd; nice").get()
                let name = folder.path.split(separator: "/").last!
                #expect(results.allSatisfy { $0.lines[0].hasSuffix(name) && $0.lines[1] == "7" })
            }
        }
    }

    @Test func `Commands: other codes are failures with the result, unless they are accepted`() async throws {
        try await withGroup(["local", "local"]) { group in
            let lines = Mutex<[String]>([])
            let results = try await group.run("echo hello; echo oops >&2; exit 3") { member, line in
                lines.withLock { $0.append("\(member) \(line.pipe) \(line)") }
            }
            #expect(results.map(\.outcome.kind) == [.failed, .failed])
            #expect((results[0].error as? CommandError)?.result.text == "hello\n")
            #expect(
                "\(try #require(throws: GroupError.self) { try results.get() })".contains("local,local#2: exit code 3"))
            #expect(Set(lines.withLock { $0 }).count == 4)
            #expect(try await group.run("exit 3", accepting: nil).get().map(\.termination) == [.exited(3), .exited(3)])
            #expect(try await group.run("exit 3", accepting: [0, 3]).allSucceeded)
            var options = CommandOptions()
            options.timeout = .milliseconds(100)
            let late = try await group.run(executable: "/bin/sleep", arguments: ["600"], options: options)
            #expect(late.map(\.outcome.kind) == [.timedOut, .timedOut])
        }
    }

    @Test func `Files go to all and come back to a place each`() async throws {
        try await TestFolder.with { folder in
            try await withGroup(["local", "local", "local"]) { group in
                let text = Array("what is in it".utf8)
                let put = try await group.put(bytes: text, to: "\(folder.path)/{host}.txt")
                #expect(try put.get().allSatisfy { $0.byteCount == text.count })
                #expect(folder.text("local#3.txt") == "what is in it")
                let fetched = try await group.get("\(folder.path)/{host}.txt", to: "\(folder.path)/fetched-{host}")
                    .get()
                #expect(fetched.map { String(decoding: $0.path, as: UTF8.self).hasSuffix("fetched-local") }[0])
                #expect(folder.count("fetched-") == 3)
                let error = try await expectError(.misuse) {
                    try await group.get("/etc/passwd", to: "\(folder.path)/same")
                }
                #expect(error.advice?.contains("same-{host}") == true)
                #expect(!folder.has("same"))
                #expect(try await group.read("\(folder.path)/{host}.txt").get() == [text, text, text])
                try await group.put("\(folder.path)/local.txt", to: "\(folder.path)/copy-{host}").get()
                #expect(folder.count("copy-") == 3)
                let said = try await group.run("cat \(folder.path)/local.txt").get()
                #expect(said.map(\.text) == ["what is in it", "what is in it", "what is in it"])
                let missing = try await group.run("cat \(folder.path)/none")
                #expect(throws: GroupError.self) { try missing.get() }
            }
        }
    }

    @Test func `A folder is made the same everywhere, and who is not there is told`() async throws {
        try await TestFolder.with { folder in
            try folder.writeProgram("one", "exit 0")
            try await TestFolder.with { target in
                try await withGroup(["local", "local?dir=/nowhere", "local"]) { group in
                    for strategy in [FleetStrategy(), FleetStrategy(limit: 2)] {
                        let results = try await group.with(strategy).sync(folder.path, to: "\(target.path)/{host}")
                        #expect(results.map(\.outcome.kind) == [.ok, .unreachable, .ok], "\(results.map(\.outcome))")
                    }
                    #expect(target.has("local/one") && target.has("local#3/one"))
                }
            }
        }
    }

    @Test func `A channel to each: one sequence of all that comes, also who was not reached ends in it`() async throws {
        try await withGroup(["local", "local?dir=/nowhere", "local"]) { group in
            let (sum, results) = try await group.withChannels(of: Int.self, task: { end, _ in Doubler(channel: end) }) {
                channels in
                #expect(channels.count == 3)
                for number in [1, 2, 3] {
                    for index in [0, 2] { try await channels[index].end.send(number * (index + 1)) }
                }
                for index in [0, 2] { channels[index].end.finish() }
                var sums: [GroupMember: Int] = [:]
                var ended: [GroupMember: Bool] = [:]
                for try await event in channels.events {
                    switch event {
                    case .item(let member, let item): sums[member, default: 0] += item
                    case .ended(let member, let error): ended[member] = error != nil
                    }
                }
                #expect(ended == [group[0]: false, group[1]: true, group[2]: false])
                return sums
            }
            #expect(sum == [group[0]: 12, group[2]: 36])
            #expect(results.map(\.outcome.kind) == [.ok, .unreachable, .ok])
        }
    }

    @Test func `Tasks with a channel each return what they came to`() async throws {
        try await withGroup(["local", "local"]) { group in
            let (sent, results) = try await group.withChannels(
                sending: Int.self, receiving: Never.self, task: { end, _ in Adder(numbers: end) }
            ) { channels in
                for number in 1...10 { try await channels.sendEach(number) }
                for channel in channels { channel.end.finish() }
                try await channels.waitClose(timeout: .seconds(20))
                return 10
            }
            #expect(sent == 10)
            #expect(try results.get() == [55, 55])
        }
    }

    @Test func `A cancelled call keeps what there is`() async throws {
        try await withGroup(["local", "local", "local"]) { group in
            try await group.connect().get()
            var group = group
            let ended = Mutex(0)
            group.onEvent = { if case .ended = $0 { ended.withLock { $0 += 1 } } }
            let task = Task { [group] in
                try await group.call { Behave(kind: $0.number == 1 ? .fine : .last) }
            }
            await eventually { ended.withLock { $0 } == 1 }
            task.cancel()
            let results = try await task.value
            #expect(results.map(\.outcome.kind) == [.ok, .cancelled, .cancelled])
            // Nothing that was cancelled stays behind.
            await eventually { try await group.context(of: group[1]).status().running == 0 }
        }
    }

    @Test(.enabled(if: hasSSHServer, "no sshd")) func `Native, ssh and Python members in groups`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                let members = [
                    MemberSpec(.local), MemberSpec(sshd.connector(.pipe), name: "far1"),
                    MemberSpec(sshd.connector(.pipe), name: "far2"),
                    MemberSpec(sshd.connector(.closedPort), name: "gone"),
                ]
                let group = try martlet.group(members)
                for _ in 0..<2 {
                    let results = try await group.call(Add(a: 20, b: 3))
                    #expect(results.map(\.value) == [23, 23, 23, nil], "\(results.map(\.outcome))")
                    #expect(results.unreached.map(\.name) == ["gone"])
                }
                let python = group.filter { $0.name != "gone" }.python()
                let versions = try await python.call("platform.python_version", returning: String.self).get()
                #expect(versions.count == 3 && versions.allSatisfy { $0.contains(".") })
                #expect(try await python.run("echo $0").get().count == 3)
                #expect(
                    try await group.python().call("os.getpid", returning: Int.self).unreached.map(\.name) == ["gone"])
                let error = try await python.call("nonsense.at_all", returning: Int.self)
                #expect(error.map(\.outcome.kind) == [.failed, .failed, .failed])
                await group.close()
            }
        }
    }

    @Test(.enabled(if: hasSSHServer, "no sshd"))
    func `A server that turns away who comes with too many others is not stormed`() async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.maxStartups = "10:30:100"
        try await withThrowawaySSHD(configuration) { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                var options = GroupOptions()
                options.connect.deadline = .seconds(60)
                let group = try martlet.group(
                    (0..<16).map { _ in MemberSpec(sshd.connector(), name: nil) }, options: options)
                let results = try await group.call { Echo(value: $0.number) }
                #expect(results.map(\.value) == (1...16).map { $0 }, "\(results.map(\.outcome))")
                await group.close()
            }
        }
    }

    @Test func `Members behind a context, and behind others of their own`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let gateway = try await martlet.connect(.local)
            let behind = try gateway.group(["local", "local"])
            #expect(try await behind.call(Nothing()).allSucceeded)
            #expect(try await gateway.status().children == 2)
            // Of one that is lost behind another only its calls can tell.
            let chain = try martlet.group(["local/local"])
            let first = try await chain.call(ProcessID()).get()
            kill(first[0], SIGKILL)
            await eventually { ProcessTable.entry(of: first[0]) == nil }
            let lost = try await chain.call(ProcessID())
            #expect([.unreachable, .ok].contains(lost[0].outcome.kind), "\(lost[0].outcome)")
            let second = try await chain.call(ProcessID()).get()
            #expect(second != first)
            await chain.close()
        }
    }

    @Test func `Who is connected while the group is closed is not left behind`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let (begun, gate) = (Gate(), Gate())
            let made = Mutex<[Int32]>([])
            let group = try martlet.group([
                MemberSpec(name: "slow") { _ in
                    begun.open()
                    await gate.wait()
                    let context = try await martlet.connect(.local)
                    made.withLock { $0.append(context.facts.processID) }
                    return context
                }
            ])
            async let results = group.call(Nothing())
            await begun.wait()
            await group.close()
            gate.open()
            let kinds = try await results.map(\.outcome.kind)
            #expect(kinds == [.unreachable])
            #expect(group.connected.isEmpty)
            await eventually { ProcessTable.entry(of: made.withLock { $0[0] }) == nil }
            #expect(try await group.call(Add(a: 1, b: 1)).get() == [2])
            await group.close()
        }
    }

    @Test func `Many members, each with its own answer`() async throws {
        try await withGroup(Array(repeating: "local", count: 60)) { group in
            let results = try await group.call { Echo(value: $0.number) }
            #expect(results.map(\.value) == (1...60).map { $0 }, "\(results)")
            #expect(results.grouped { $0 % 3 }.map(\.names.count) == [20, 20, 20])
        }
    }

    @Test func `Facts are read once, kept for a while, and choose members`() async throws {
        try await withGroup(["local", "local"]) { group in
            let facts = try await group.facts().get()
            #expect(facts.allSatisfy { $0.system == "Linux" && $0.memory > 0 && $0.uptime ?? 0 > 0 })
            #expect(facts[0].python != nil && facts[0].pythonVersion?.contains(".") == true)
            #expect(try await group.facts().get() == facts)
            #expect(try await group.matching { $0.system == "Linux" }.count == 2)
            #expect(try await group.matching { $0.system == "Plan 9" }.isEmpty)
        }
    }
}
