import Martlet
import MartletTestKit
import Testing

@testable import MartletPython

private struct Disk: Codable, Equatable, Sendable {
    var path: String
    var free: Int64
    var tags: [String]?
}

@Suite(.leakChecked) struct ValueTests {
    private static let values: [PythonValue] = [
        .none, true, false, 0, -1, 23, 24, 255, 256, 65536, .int(.max), .int(.min),
        .bigInt(PythonInteger(UInt64.max)), .bigInt(PythonInteger("18446744073709551616")!),
        .bigInt(PythonInteger("-18446744073709551616")!), .bigInt(PythonInteger("-18446744073709551617")!),
        .bigInt(PythonInteger("123456789012345678901234567890123456789012345678901234567890")!),
        0.0, 1.5, -2.75, 1e300, 65504.0, 5.960464477539063e-08, .float(.infinity), .float(-.infinity), "", "text",
        "€ 𝄞",
        .bytes([]), .bytes([0, 255, 128]), [], [1, [2, ["x"]]], .tuple([]), .tuple([1, .tuple(["a", [.none]])]),
        [:], ["a": 1, 2: "b", .none: [], .tuple([1, 2]): ["c": .tuple([])], 2.5: true],
        .set([]), .set([1, "a", .tuple([1])]), .frozenset([1, 2]), .set([.frozenset([.none])]),
        .dict([.frozenset(["k"]): 1]),
    ]

    @Test(arguments: Interpreters.all)
    func `Values of every kind come back as they are`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            for value in Self.values {
                let back: PythonValue = try await py.call("copy.copy", value)
                let expected = interpreter == Interpreters.old && value == .bytes([]) ? "" : value
                #expect(back == expected)
            }
            let all: PythonValue = try await py.call(
                "copy.copy", PythonValue.list(Self.values.filter { $0 != .bytes([]) }))
            #expect(all == .list(Self.values.filter { $0 != .bytes([]) }))
            let nan: Double = try await py.call("float", "nan")
            #expect(nan.isNaN)
        }
    }

    @Test func `Results are decoded to any type, and arguments encoded from any`() async throws {
        try await withPython { py in
            let disk = Disk(path: "/", free: 1 << 40, tags: ["a"])
            #expect(try await py.call("copy.copy", disk) == disk)
            let names: [String] = try await py.call("sorted", PythonValue.set(["b", "a"]))
            #expect(names == ["a", "b"])
            let power: UInt128 = try await py.call("pow", 2, 127)
            #expect(power == 1 << 127)
            let pairs: [String: Int] = try await py.call("dict", kw: ["x": 1, "y": 2])
            #expect(pairs == ["x": 1, "y": 2])
            let optional: Int? = try await py.call("os.environ.get", "NO_SUCH_VARIABLE")
            #expect(optional == nil)
            let huge: PythonValue = try await py.call("pow", -7, 99)
            #expect(
                huge
                    == .bigInt(
                        PythonInteger(
                            "-462068072803536855906378252728602401551029028414946485847699333055955922805275437143"
                        )!))
            let error = try await #require(throws: MartletError.self) {
                let _: Int = try await py.call("str", 1)
            }
            #expect(error.code == .valueUnusable)
        }
    }

    @Test(arguments: Interpreters.all)
    func `What cannot be carried is an error with the path to it`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let error = try await #require(throws: MartletError.self) {
                try await py.call("eval", "[0, {'a': (1, object())}]")
            }
            #expect(error.code == .valueUnusable)
            #expect(error.message.contains("the value[1]['a'][1]"))
            #expect(error.message.contains("object"))
            let loop = try await #require(throws: MartletError.self) {
                try await py.call("eval", "(lambda l: l.append(l) or l)([])")
            }
            #expect(loop.code == .valueUnusable)
            #expect(loop.message.contains("in itself"))
            // A key that Python does not take.
            let key = try await #require(throws: MartletError.self) {
                try await py.call("len", PythonValue.dict([[1]: 2]))
            }
            #expect(key.code == .valueUnusable)
            #expect(key.message.contains("unhashable"))
            #expect(try await py.call("len", "abc") == 3)
        }
    }

    @Test func `Integers of any size are read and written in decimal`() {
        for text in ["0", "1", "-1", "255", "256", "-18446744073709551616", "340282366920938463463374607431768211456"] {
            #expect("\(PythonInteger(text)!)" == text)
        }
        #expect(PythonInteger("") == nil && PythonInteger("-") == nil && PythonInteger("1a") == nil)
        #expect(PythonInteger("--1") == nil)
        #expect(PythonInteger(Int.min).int == .min && PythonInteger(Int.max).int == .max)
        #expect(PythonInteger(UInt64.max).int == nil && PythonInteger("-9223372036854775809")!.int == nil)
        #expect(PythonValue.integer(PythonInteger(7)) == 7)
        #expect(PythonInteger(-5) == PythonInteger("-5"))
    }
}
