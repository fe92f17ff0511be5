import Martlet
import Testing

@testable import MartletOperations

private enum Names: SettingKey { typealias Value = Set<String> }
private enum Region: SettingKey { typealias Value = String }

extension Setting {
    fileprivate static func adding(_ name: String) -> Setting {
        Setting { $0[Names.self] = ($0[Names.self] ?? []).union([name]) }
    }
}

private var region: String? { Settings.current[Region.self] }

@Suite struct SettingsTests {
    @Test func `Nested settings add up, and each scope ends with what was before`() async throws {
        #expect(Settings.current[Names.self] == nil)
        await withSettings(.adding("foo")) {
            await withSettings(.adding("bar")) {
                await withSettings(.adding("baz")) {
                    #expect(Settings.current[Names.self] == ["foo", "bar", "baz"])
                }
                #expect(Settings.current[Names.self] == ["foo", "bar"])
            }
            #expect(Settings.current[Names.self] == ["foo"])
        }
        #expect(Settings.current[Names.self] == nil)
    }

    @Test func `An inner setting hides the outer one, and may take it away, until its scope ends`() async throws {
        await withSettings(.set(Region.self, to: "eu"), .warnOnly) {
            await withSettings(.set(Region.self, to: "us")) { #expect(region == "us") }
            await withSettings(.set(Region.self, to: nil), .warnOnly(false)) {
                #expect(region == nil)
                #expect(Settings.current[WarnOnlyKey.self] == false)
            }
            #expect(region == "eu")
            #expect(Settings.current[WarnOnlyKey.self] == true)
        }
        #expect(region == nil)
    }

    @Test func `What held before holds again after an error`() async throws {
        await #expect(throws: PlainFailure.self) {
            try await withSettings(.set(Region.self, to: "eu")) {
                try await withSettings(.set(Region.self, to: "us")) { throw PlainFailure() }
            }
        }
        #expect(region == nil)
    }

    @Test func `Tasks have the settings of where they began, and nobody else's`() async throws {
        await withSettings(.set(Region.self, to: "eu")) {
            async let inner: String? = region
            let other = Task.detached { region }
            await withTaskGroup(of: String?.self) { group in
                for name in ["a", "b", "c"] {
                    group.addTask {
                        await withSettings(.set(Region.self, to: name)) {
                            await Task.yield()
                            return region
                        }
                    }
                }
                var names: [String] = []
                for await name in group { names.append(name ?? "none") }
                #expect(names.sorted() == ["a", "b", "c"])
            }
            #expect(await inner == "eu")
            #expect(await other.value == nil)
            #expect(region == "eu")
        }
    }

    @Test func `Several settings are one, and a value of settings changes nothing by itself`() async throws {
        let production: Setting = .all([.set(Region.self, to: "eu"), .adding("x"), .set(Region.self, to: "us")])
        var mine = Settings.current.applying([production])
        #expect(mine[Region.self] == "us" && mine[Names.self] == ["x"])
        mine[Region.self] = "here"
        #expect(region == nil)
        await withSettings(production) { #expect(region == "us") }
    }

    @Test func `Clean-ups run in order at the end of their own scope, with its settings`() async throws {
        let log = Box<[String]>([])
        try await withSettings(.set(Region.self, to: "outer")) {
            try addCleanup { log.change { $0.append("outer \(region ?? "")") } }
            try await withSettings(.set(Region.self, to: "inner")) {
                try addCleanup { log.change { $0.append("first \(region ?? "")") } }
                try addCleanup { log.change { $0.append("second \(region ?? "")") } }
                #expect(log.value.isEmpty)
            }
            #expect(log.value == ["first inner", "second inner"])
        }
        #expect(log.value == ["first inner", "second inner", "outer outer"])
        let error = #expect(throws: OperationError.self) { try addCleanup {} }
        #expect(error?.code == .misuse)
    }

    @Test func `Clean-ups run after an error, after another's error, and in a task that was cancelled`() async throws {
        let (log, screen) = (Box<[String]>([]), Screen())
        let task = Task {
            try await withSettings(screen.setting) {
                try addCleanup { throw PlainFailure() }
                try addCleanup {
                    try Task.checkCancellation()
                    log.change { $0.append("done") }
                }
                withUnsafeCurrentTask { $0?.cancel() }
                try Task.checkCancellation()
            }
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(log.value == ["done"])
        #expect(screen.text(.error).contains("clean-up failed"))
    }

    @Test(
        arguments: [
            (nil, "a", "a"), ("/srv", "a", "/srv/a"), ("/srv/", "a/b", "/srv/a/b"), ("/srv", "..", "/srv/.."),
            ("a", "b", "a/b"), ("/srv", "/etc", "/etc"), ("/srv", "~", "~"), ("~/x", "y z", "~/x/y z"),
            ("/srv", "~joe/b", "~joe/b"), ("/srv", "~$a.docx", "/srv/~$a.docx"), ("/srv", "~a b/c", "/srv/~a b/c"),
            ("/", "a", "/a"), ("/srv", "", "/srv"), (nil, "", "."),
        ] as [(String?, String, String)])
    func `A directory begins at the one outside, unless it says where`(outer: String?, path: String, whole: String) {
        #expect(RemotePath.joining(outer, path) == whole)
    }

    @Test(arguments: [
        (".", "."), ("./", "./"), ("/srv/.", "/srv/"), ("/srv/./", "/srv/"), ("/srv/./.", "/srv/"), ("/.", "/"),
        ("~/.", "~/"), ("/srv/..", "/srv/.."), ("/srv/a.", "/srv/a."), ("/srv/.a", "/srv/.a"), ("", ""), ("./.", "./"),
    ])
    func `The folder that is meant by a dot is a folder's name`(path: String, folder: String) {
        #expect(RemotePath.destination(path) == folder)
    }

    @Test func `Directories there and here are apart; variables and prefixes add up`() async throws {
        await cd("/srv") {
            await cd("app one") {
                await lcd("/tmp") {
                    #expect(Settings.current.directory(isLocal: false) == "/srv/app one")
                    #expect(Settings.current.directory(isLocal: true) == "/tmp")
                    #expect(Settings.current.path("x", isLocal: false) == "/srv/app one/x")
                    #expect(Settings.current.path("x", isLocal: true) == "/tmp/x")
                    #expect(Settings.current.path("/x", isLocal: true) == "/x")
                    #expect(Settings.current.path("~/x", isLocal: false) == "~/x")
                    #expect(Settings.current.path("~$x", isLocal: false) == "/srv/app one/~$x")
                    #expect(Settings.current.path("~$x", isLocal: true) == "/tmp/~$x")
                }
            }
            #expect(Settings.current.directory(isLocal: false) == "/srv")
        }
        await env(["A": "1", "B": "2"]) {
            await env(["B": "3", "C": nil]) {
                #expect(Settings.current.commandOptions.environment == ["A": "1", "B": "3", "C": nil])
            }
        }
        await prefix("one") {
            await prefix("two") { #expect(Settings.current[PrefixKey.self] == ["one", "two"]) }
        }
    }

    @Test func `A home is that of an account's name, and nothing that a shell would do something with`() {
        #expect(RemotePath.home("~/a b")?.name == "~" && RemotePath.home("~/a b")?.rest == "/a b")
        #expect(RemotePath.home("~joe")?.name == "~joe" && RemotePath.home("~joe")?.rest == "")
        for path in ["/a", "a~", "~$(id)/x", "~`id`", "~a b/x", "~;id"] { #expect(RemotePath.home(path) == nil) }
    }
}
