// A foreign OPC UA server for the tests. The first line of standard input says what it is:
// {port, uri, certificate, key, pki, policies, modes, user, password, before, namespace, nodes: [{node, type, value,
// writable}]}. Further lines change it: {node, value} or {node, status}. It prints {"port": n} when it listens.
const readline = require("node:readline");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { OPCUAServer } = require("node-opcua-server");
const { StatusCodes } = require("node-opcua-status-code");
const { DataType, Variant, VariantArrayType } = require("node-opcua-variant");

async function serve(wish) {
  const trust = new OPCUACertificateManager({
    rootFolder: wish.pki, automaticallyAcceptUnknownCertificate: false, disableFileWatchers: false,
  });
  await trust.initialize();
  const server = new OPCUAServer({
    port: wish.port, hostname: "127.0.0.1", resourcePath: "/",
    certificateFile: wish.certificate, privateKeyFile: wish.key,
    serverCertificateManager: trust, userCertificateManager: trust,
    serverInfo: { applicationUri: wish.uri, productUri: wish.uri },
    securityPolicies: wish.policies.map((name) => SecurityPolicy[name]),
    securityModes: wish.modes.map((name) => MessageSecurityMode[name]),
    allowAnonymous: !wish.user,
    userManager: { isValidUser: (name, password) => name === wish.user && password === wish.password },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  for (const uri of wish.before) space.registerNamespace(uri);
  const namespace = space.registerNamespace(wish.namespace);
  const held = new Map();
  for (const { node, type, value, writable } of wish.nodes) {
    const variable = namespace.addVariable({
      organizedBy: space.rootFolder.objects, browseName: node, nodeId: `s=${node}`, dataType: DataType[type],
      accessLevel: writable ? "CurrentRead | CurrentWrite" : "CurrentRead",
      userAccessLevel: writable ? "CurrentRead | CurrentWrite" : "CurrentRead",
      minimumSamplingInterval: 0,
    });
    variable.setValueFromSource(scalar(type, value));
    held.set(node, { variable, type });
  }
  await server.start();
  console.log(JSON.stringify({ port: server.endpoints[0].port }));
  return ({ node, value, status }) => {
    const { variable, type } = held.get(node);
    variable.setValueFromSource(scalar(type, value), status ? StatusCodes[status] : StatusCodes.Good);
    console.log("{}");
  };
}

function scalar(type, value) {
  return new Variant({ dataType: DataType[type], arrayType: VariantArrayType.Scalar, value });
}

async function main() {
  let change = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const said = JSON.parse(line);
    if (change === null) change = await serve(said);
    else change(said);
  }
  process.exit(0);
}

main().catch((failed) => { console.error(failed); process.exit(1); });
