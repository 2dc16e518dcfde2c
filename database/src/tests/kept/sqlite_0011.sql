PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_version (version BIGINT NOT NULL);
INSERT INTO schema_version VALUES(11);
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    forge        TEXT NOT NULL,
    delivery     TEXT NOT NULL,
    event        TEXT NOT NULL,
    repository   TEXT NOT NULL,
    body_hash    TEXT NOT NULL,
    body         BLOB NOT NULL,
    ignored      TEXT,
    explain_json TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    UNIQUE (forge, repository, delivery),
    UNIQUE (forge, repository, event, body_hash)
);
INSERT INTO deliveries VALUES(1,'github','one','push','demo/app','7133e156cc3940cebc0dd194431d1bacb3786d0a7404e1ebdcbeb15cd411ed9a',X'7b22726566223a22726566732f68656164732f6d61696e222c226265666f7265223a2230303030303030303030303030303030303030303030303030303030303030303030303030303030222c226166746572223a2236653435356239376632333132306266633034336538306238626130623937303931623933643030222c2264656c65746564223a66616c73652c22686561645f636f6d6d6974223a7b226964223a2236653435356239376632333132306266633034336538306238626130623937303931623933643030222c226d657373616765223a2254686520666972737420636f6d6d6974227d2c227265706f7369746f7279223a7b2266756c6c5f6e616d65223a2264656d6f2f617070227d2c22707573686572223a7b226e616d65223a2264656d6f227d7d',NULL,'[]',1796025746018);
INSERT INTO deliveries VALUES(2,'github','other','push','demo/app','8f5a64c6dee88187356405ea6d30a945f54b8b0efa798f30064d8fb6bdf19f8b',X'7b22726566223a22726566732f68656164732f6f74686572222c226265666f7265223a2230303030303030303030303030303030303030303030303030303030303030303030303030303030222c226166746572223a2236653435356239376632333132306266633034336538306238626130623937303931623933643030222c2264656c65746564223a66616c73652c22686561645f636f6d6d6974223a7b226964223a2236653435356239376632333132306266633034336538306238626130623937303931623933643030222c226d657373616765223a2254686520666972737420636f6d6d6974227d2c227265706f7369746f7279223a7b2266756c6c5f6e616d65223a2264656d6f2f617070227d2c22707573686572223a7b226e616d65223a2264656d6f227d7d','no_rule_matched','["rule `main` is for `main` alone"]',1796025746160);
CREATE TABLE sequences (
    repository  TEXT NOT NULL,
    name        TEXT NOT NULL,
    last        BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);
INSERT INTO sequences VALUES('demo/app','refs/heads/main',4194304);
INSERT INTO sequences VALUES('demo/app','refs/heads/other',1048576);
INSERT INTO sequences VALUES('demo/own','document',2);
INSERT INTO sequences VALUES('demo/own','refs/heads/main',1048576);
CREATE TABLE pushes (
    id           INTEGER PRIMARY KEY,
    delivery_id  BIGINT NOT NULL REFERENCES deliveries (id),
    repository   TEXT NOT NULL,
    git_ref      TEXT NOT NULL,
    before_id    TEXT,
    after_id     TEXT NOT NULL,
    sequence     BIGINT NOT NULL,
    segment      BIGINT NOT NULL,
    is_head      BOOLEAN NOT NULL,
    is_tail      BOOLEAN NOT NULL,
    created_ms   BIGINT NOT NULL
, is_found BOOLEAN NOT NULL DEFAULT FALSE);
INSERT INTO pushes VALUES(1,1,'demo/app','refs/heads/main',NULL,'6e455b97f23120bfc043e80b8ba0b97091b93d00',2097152,1,1,1,1796025746018,0);
INSERT INTO pushes VALUES(2,2,'demo/app','refs/heads/other',NULL,'6e455b97f23120bfc043e80b8ba0b97091b93d00',1048576,2,1,1,1796025746160,0);
CREATE TABLE builds (
    id               TEXT PRIMARY KEY,
    number           BIGINT NOT NULL,
    delivery_id      BIGINT REFERENCES deliveries (id),
    push_id          BIGINT REFERENCES pushes (id),
    repository       TEXT NOT NULL,
    rule             TEXT NOT NULL,
    commit_message   TEXT NOT NULL,
    trigger_kind     TEXT NOT NULL,
    trigger_json     TEXT NOT NULL,
    spec_json        TEXT NOT NULL,
    git_ref          TEXT NOT NULL,
    sequence         BIGINT NOT NULL,
    lane             TEXT NOT NULL,
    is_serial        BOOLEAN NOT NULL,
    priority         BIGINT NOT NULL,
    state            TEXT NOT NULL,
    attempt          BIGINT NOT NULL DEFAULT 0,
    forgiven         BIGINT NOT NULL DEFAULT 0,
    worker           TEXT,
    lease_until_ms   BIGINT,
    not_before_ms    BIGINT NOT NULL DEFAULT 0,
    commit_id        TEXT,
    reason_json      TEXT,
    image_json       TEXT,
    created_ms       BIGINT NOT NULL,
    started_ms       BIGINT,
    finished_ms      BIGINT,
    version          BIGINT NOT NULL DEFAULT 1,
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    log_bytes        BIGINT NOT NULL DEFAULT 0, is_held BOOLEAN NOT NULL DEFAULT FALSE, approved_by TEXT,
    UNIQUE (repository, number)
);
INSERT INTO builds VALUES('bld_01a22b79ffc275f0b61883e55bd1e4ad',1,NULL,NULL,'demo/app','main','','schedule','{"kind":"schedule","due_ms":1796025720000}','{"clone_url":"http://127.0.0.1:19482/app.git","git_ref":"refs/heads/main","commit":null,"dockerfile":"Dockerfile","context":"","target":null,"build_args":{"BASE":"127.0.0.1:19481/base/busybox"},"tags":["127.0.0.1:19481/demo/app:latest","127.0.0.1:19481/demo/app:"],"use_cache":true,"push":true,"platforms":[],"labels":{},"secrets":[],"path_filter":"off","paths":[],"policy":"parallel","timeout_ms":null,"step_timeout_ms":null,"priority":0,"no_cache_stages":[],"trusted":true,"needs_approval":false,"warnings":[],"reason":null}','refs/heads/main',1048576,'parallel demo/app',0,0,'failed',1,0,NULL,NULL,1796025747298,NULL,'{"code":"repository_not_found","message":"`http://127.0.0.1:19482/app.git` is no git repository, or one that is only shown to who may see it"}',NULL,1796025745346,1796025745780,1796025745804,5,0,165,0,NULL);
INSERT INTO builds VALUES('bld_01a22b7a0262724682d90dde4204c093',2,1,1,'demo/app','main','The first commit','push','{"kind":"push","delivery":"one","by":"demo"}','{"clone_url":"http://127.0.0.1:19482/app.git","git_ref":"refs/heads/main","commit":"6e455b97f23120bfc043e80b8ba0b97091b93d00","dockerfile":"Dockerfile","context":"","target":null,"build_args":{"BASE":"127.0.0.1:19481/base/busybox"},"tags":["127.0.0.1:19481/demo/app:latest","127.0.0.1:19481/demo/app:6e455b9"],"use_cache":true,"push":true,"platforms":[],"labels":{},"secrets":[],"path_filter":"off","paths":[],"policy":"parallel","timeout_ms":null,"step_timeout_ms":null,"priority":0,"no_cache_stages":[],"trusted":true,"needs_approval":false,"warnings":[],"reason":null}','refs/heads/main',2097152,'parallel demo/app',0,0,'succeeded',1,0,NULL,NULL,1796025747550,'6e455b97f23120bfc043e80b8ba0b97091b93d00',NULL,'{"digest":"sha256:3355118c0a05d4507df33819025ee447de0e9055dcc42edf7c96a08279a675ff","media_type":"application/vnd.oci.image.manifest.v1+json","size":1096836,"tags":["127.0.0.1:19481/demo/app:latest","127.0.0.1:19481/demo/app:6e455b9"],"inputs_key":"3c931e289c6fd1ca88cfbb8e14284f39a497e6c80405295b0c5aa106894c766a","base_images":[{"reference":"127.0.0.1:19481/base/busybox:latest","platform":"linux/amd64","digest":"sha256:6a976a7594bfa1cccb75d88be46d94e49e54852eae3d117fce25fe974c0c2e75"}]}',1796025746018,1796025746055,1796025746313,14,0,575,0,NULL);
INSERT INTO builds VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0',3,NULL,NULL,'demo/app','main','The first commit','manual','{"kind":"manual","by":"ops"}','{"clone_url":"http://127.0.0.1:19482/app.git","git_ref":"refs/heads/main","commit":null,"dockerfile":"Dockerfile","context":"","target":null,"build_args":{"BASE":"127.0.0.1:19481/base/busybox"},"tags":["127.0.0.1:19481/demo/app:latest","127.0.0.1:19481/demo/app:"],"use_cache":true,"push":true,"platforms":[],"labels":{},"secrets":[],"path_filter":"off","paths":[],"policy":"parallel","timeout_ms":null,"step_timeout_ms":null,"priority":0,"no_cache_stages":[],"trusted":true,"needs_approval":false,"warnings":[],"reason":null}','refs/heads/main',3145728,'parallel demo/app',0,0,'succeeded',1,0,NULL,NULL,1796025753641,'6e455b97f23120bfc043e80b8ba0b97091b93d00',NULL,'{"digest":"sha256:3355118c0a05d4507df33819025ee447de0e9055dcc42edf7c96a08279a675ff","media_type":"application/vnd.oci.image.manifest.v1+json","size":1096836,"tags":["127.0.0.1:19481/demo/app:latest","127.0.0.1:19481/demo/app:6e455b9"],"inputs_key":"3c931e289c6fd1ca88cfbb8e14284f39a497e6c80405295b0c5aa106894c766a","base_images":[{"reference":"127.0.0.1:19481/base/busybox:latest","platform":"linux/amd64","digest":"sha256:6a976a7594bfa1cccb75d88be46d94e49e54852eae3d117fce25fe974c0c2e75"}]}',1796025752236,1796025752262,1796025752376,11,0,396,0,NULL);
INSERT INTO builds VALUES('bld_01a22b7a1b4e7686877e28d0371e53c5',1,NULL,NULL,'demo/own','rule-1','','manual','{"kind":"manual","by":"ops"}','{"clone_url":"http://127.0.0.1:19482/app.git","git_ref":"refs/heads/main","commit":"6e455b97f23120bfc043e80b8ba0b97091b93d00","dockerfile":"Dockerfile","context":"","target":null,"build_args":{},"tags":["127.0.0.1:19481/demo/own:own"],"use_cache":true,"push":true,"platforms":[],"labels":{},"secrets":[],"path_filter":"off","paths":[],"policy":"parallel","timeout_ms":null,"step_timeout_ms":null,"priority":0,"no_cache_stages":[],"trusted":true,"needs_approval":false,"warnings":[],"reason":null}','refs/heads/main',1048576,'parallel demo/own',0,0,'queued',0,0,NULL,NULL,0,'6e455b97f23120bfc043e80b8ba0b97091b93d00',NULL,NULL,1796025752398,NULL,NULL,1,0,0,0,NULL);
INSERT INTO builds VALUES('bld_01a22b7a888975c88bf4fccb137dc790',4,NULL,NULL,'demo/app','main','','schedule','{"kind":"schedule","due_ms":1796025780000}','{"clone_url":"http://127.0.0.1:19482/app.git","git_ref":"refs/heads/main","commit":null,"dockerfile":"Dockerfile","context":"","target":null,"build_args":{"BASE":"127.0.0.1:19481/base/busybox"},"tags":["127.0.0.1:19481/demo/app:latest","127.0.0.1:19481/demo/app:"],"use_cache":true,"push":true,"platforms":[],"labels":{},"secrets":[],"path_filter":"off","paths":[],"policy":"parallel","timeout_ms":null,"step_timeout_ms":null,"priority":0,"no_cache_stages":[],"trusted":true,"needs_approval":false,"warnings":[],"reason":null}','refs/heads/main',4194304,'parallel demo/app',0,0,'queued',0,0,NULL,NULL,0,NULL,NULL,NULL,1796025780361,NULL,NULL,1,0,0,0,NULL);
CREATE TABLE turns (
    repository  TEXT PRIMARY KEY,
    served_ms   BIGINT NOT NULL
);
INSERT INTO turns VALUES('demo/app',1796025752262);
CREATE TABLE switches (
    name        TEXT PRIMARY KEY,
    is_on       BOOLEAN NOT NULL
);
INSERT INTO switches VALUES('queue_paused',1);
CREATE TABLE workers (
    name        TEXT PRIMARY KEY,
    slots       BIGINT NOT NULL,
    seen_ms     BIGINT NOT NULL
);
CREATE TABLE steps (
    build_id    TEXT NOT NULL REFERENCES builds (id),
    number      BIGINT NOT NULL,
    step_json   TEXT NOT NULL,
    PRIMARY KEY (build_id, number)
);
INSERT INTO steps VALUES('bld_01a22b7a0262724682d90dde4204c093',2,'{"number":2,"instruction":"COPY Dockerfile /d","stage":"stage-0","line":4,"state":"succeeded","cached":false,"exit_code":null,"layer_digest":"sha256:44a0d55097c2db392401de51655f00d73bbc43d7cb782ae8f7ccb76aba199fca","layer_size":158,"started_ms":1796025746234,"duration_ms":3}');
INSERT INTO steps VALUES('bld_01a22b7a0262724682d90dde4204c093',1,'{"number":1,"instruction":"RUN echo hello; echo x > /x","stage":"stage-0","line":3,"state":"succeeded","cached":false,"exit_code":null,"layer_digest":"sha256:4b345c5bdb30054217f9d543ac6a71fcbd8bd58d5d5b5db105c4ac43405061c4","layer_size":95,"started_ms":1796025746099,"duration_ms":135}');
INSERT INTO steps VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0',1,'{"number":1,"instruction":"RUN echo hello; echo x > /x","stage":"stage-0","line":3,"state":"succeeded","cached":true,"exit_code":null,"layer_digest":"sha256:4b345c5bdb30054217f9d543ac6a71fcbd8bd58d5d5b5db105c4ac43405061c4","layer_size":95,"started_ms":1796025752296,"duration_ms":0}');
INSERT INTO steps VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0',2,'{"number":2,"instruction":"COPY Dockerfile /d","stage":"stage-0","line":4,"state":"succeeded","cached":true,"exit_code":null,"layer_digest":"sha256:44a0d55097c2db392401de51655f00d73bbc43d7cb782ae8f7ccb76aba199fca","layer_size":158,"started_ms":1796025752296,"duration_ms":0}');
CREATE TABLE logs (
    build_id    TEXT NOT NULL REFERENCES builds (id),
    start       BIGINT NOT NULL,
    length      BIGINT NOT NULL,
    step        BIGINT,
    content     BLOB NOT NULL,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (build_id, start)
);
INSERT INTO logs VALUES('bld_01a22b79ffc275f0b61883e55bd1e4ad',0,20,NULL,X'6665746368696e672074686520636f6d6d69740a',1796025745788);
INSERT INTO logs VALUES('bld_01a22b79ffc275f0b61883e55bd1e4ad',20,145,NULL,X'637269746963616c20706174683a2066657463682074686520636f6d6d697420302e303133730a4552524f523a2060687474703a2f2f3132372e302e302e313a31393438322f6170702e67697460206973206e6f20676974207265706f7369746f72792c206f72206f6e652074686174206973206f6e6c792073686f776e20746f2077686f206d6179207365652069740a',1796025745800);
INSERT INTO logs VALUES('bld_01a22b7a0262724682d90dde4204c093',0,20,NULL,X'6665746368696e672074686520636f6d6d69740a',1796025746060);
INSERT INTO logs VALUES('bld_01a22b7a0262724682d90dde4204c093',20,160,NULL,X'72656164696e672074686520446f636b657266696c650a5741524e494e473a20496e76616c696444656661756c74417267496e46726f6d3a2044656661756c742076616c756520666f722041524720247b424153457d20726573756c747320696e20656d707479206f7220696e76616c6964206261736520696d616765206e616d6520286c696e652032290a657865637574696e67207468652073746570730a',1796025746128);
INSERT INTO logs VALUES('bld_01a22b7a0262724682d90dde4204c093',180,42,NULL,X'5b73746167652d3020312f325d2052554e206563686f2068656c6c6f3b206563686f2078203e202f780a',1796025746134);
INSERT INTO logs VALUES('bld_01a22b7a0262724682d90dde4204c093',222,6,1,X'68656c6c6f0a',1796025746223);
INSERT INTO logs VALUES('bld_01a22b7a0262724682d90dde4204c093',228,51,NULL,X'5b73746167652d3020322f325d20434f505920446f636b657266696c65202f640a70757368696e672074686520696d6167650a',1796025746292);
INSERT INTO logs VALUES('bld_01a22b7a0262724682d90dde4204c093',279,296,NULL,X'637269746963616c20706174683a2066657463682074686520636f6d6d697420302e30333973203e207265736f6c7665206261736520696d6167657320302e30303173203e2073746570207374617274696e67207468652073616e64626f7820302e30303173203e20737465702052554e206563686f2068656c6c6f3b206563686f2078203e202f7820302e31333573203e207374657020434f505920446f636b657266696c65202f6420302e30303273203e20736574746c652031206c617965727320302e30313173203e2070757368203132372e302e302e313a31393438312f64656d6f2f6170703a6c617465737420302e30323073203e2070757368203132372e302e302e313a31393438312f64656d6f2f6170703a3665343535623920302e303131730a',1796025746312);
INSERT INTO logs VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0',0,20,NULL,X'6665746368696e672074686520636f6d6d69740a',1796025752283);
INSERT INTO logs VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0',20,160,NULL,X'72656164696e672074686520446f636b657266696c650a5741524e494e473a20496e76616c696444656661756c74417267496e46726f6d3a2044656661756c742076616c756520666f722041524720247b424153457d20726573756c747320696e20656d707479206f7220696e76616c6964206261736520696d616765206e616d6520286c696e652032290a657865637574696e67207468652073746570730a',1796025752350);
INSERT INTO logs VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0',180,135,NULL,X'5b73746167652d3020312f325d2052554e206563686f2068656c6c6f3b206563686f2078203e202f780a5b73746167652d3020312f325d204341434845440a5b73746167652d3020322f325d20434f505920446f636b657266696c65202f640a5b73746167652d3020322f325d204341434845440a70757368696e672074686520696d6167650a',1796025752357);
INSERT INTO logs VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0',315,81,NULL,X'637269746963616c20706174683a2066657463682074686520636f6d6d697420302e30313573203e206b65792074686520646566696e6974696f6e73206f6620616c6c20737465707320302e303033730a',1796025752358);
CREATE TABLE idempotency_keys (
    repository  TEXT NOT NULL,
    name        TEXT NOT NULL,
    body_hash   TEXT NOT NULL,
    builds_json TEXT NOT NULL,
    created_ms  BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);
INSERT INTO idempotency_keys VALUES('demo/app','key-1','a934b65d9e929e7a924f901e05035152e791f1d2575f4b2adcb3721ec55d5e93','["bld_01a22b7a1aac75d5a8d7216962c3cbd0"]',1796025752236);
CREATE TABLE lookups (
    id             INTEGER PRIMARY KEY,
    delivery_id    BIGINT REFERENCES deliveries (id),
    lookup_json    TEXT NOT NULL,
    state          TEXT NOT NULL,
    attempt        BIGINT NOT NULL DEFAULT 0,
    worker         TEXT,
    lease_until_ms BIGINT,
    answer_json    TEXT
);
CREATE TABLE statuses (
    id            INTEGER PRIMARY KEY,
    build_id      TEXT NOT NULL REFERENCES builds (id),
    repository    TEXT NOT NULL,
    commit_id     TEXT NOT NULL,
    rule          TEXT NOT NULL,
    state         TEXT NOT NULL,
    description   TEXT NOT NULL,
    tries         BIGINT NOT NULL DEFAULT 0,
    due_ms        BIGINT NOT NULL
);
CREATE TABLE cached_layers (
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    layer_json  TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
);
INSERT INTO cached_layers VALUES('local','ad71b83aff81ededf285b8fbe3eee0650ccd87f0f07dda808a6e2d70a1a73738','{"diff_id":"sha256:67e08817266725e5bfb7648d8e5c10438fb7197b4b6b650cea8e5f6402c41f40","digest":"sha256:09c992c8f68055bbd3649d9f59ae026a37a30107fb96ba2bcadacbd683dddcff","size":1090729,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025745412,"content_key":"eec406ec865dbc0823bd4524650bb2bba68366b79909f9f616b261b4b47fc173"}');
INSERT INTO cached_layers VALUES('local','eec406ec865dbc0823bd4524650bb2bba68366b79909f9f616b261b4b47fc173','{"diff_id":"sha256:67e08817266725e5bfb7648d8e5c10438fb7197b4b6b650cea8e5f6402c41f40","digest":"sha256:09c992c8f68055bbd3649d9f59ae026a37a30107fb96ba2bcadacbd683dddcff","size":1090729,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025745412,"content_key":null}');
INSERT INTO cached_layers VALUES('local','9b14e13777dfdbc921f8dad6dc7e210847c181246620cab91394072cd6c580f4','{"diff_id":"sha256:843cf45f02fa25e6e5a23f3367722622580ca631c6f90eab2a35341e3619b448","digest":"sha256:18d30c6a9041e4f9a3c498295ecbae4d4d050bd41b21234d339957bd5a80dc23","size":4135,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025745758,"content_key":"595f63a50fab3a05f5a228162ee642199d5175666abfe7fde5877075dff1580d"}');
INSERT INTO cached_layers VALUES('local','595f63a50fab3a05f5a228162ee642199d5175666abfe7fde5877075dff1580d','{"diff_id":"sha256:843cf45f02fa25e6e5a23f3367722622580ca631c6f90eab2a35341e3619b448","digest":"sha256:18d30c6a9041e4f9a3c498295ecbae4d4d050bd41b21234d339957bd5a80dc23","size":4135,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025745758,"content_key":null}');
INSERT INTO cached_layers VALUES('local','3aa64c2ef6b8b76713d56bf5eb6a3f79c86b256831fa40d10cb94b4327f09fc0','{"diff_id":"sha256:84b462b0b6b268f8c9bade05ec49b5d39485754ed7955788ddbfcc25fb2534ef","digest":"sha256:c951c1f79e3040bf8a73e3cce5b0a63ea925aea4035f45e365fee43b4fb89b95","size":225,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025745803,"content_key":"2fc709763714b9deefcebb0dabc98192905101264505f968a3fd08763d4d3d20"}');
INSERT INTO cached_layers VALUES('local','2fc709763714b9deefcebb0dabc98192905101264505f968a3fd08763d4d3d20','{"diff_id":"sha256:84b462b0b6b268f8c9bade05ec49b5d39485754ed7955788ddbfcc25fb2534ef","digest":"sha256:c951c1f79e3040bf8a73e3cce5b0a63ea925aea4035f45e365fee43b4fb89b95","size":225,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025745803,"content_key":null}');
INSERT INTO cached_layers VALUES('demo/app','a8d9bdcc39ecfe3fdcbc79fb868cfee4ccddd18e02adcd9f0f479670c219024b','{"diff_id":"sha256:11bb40741bc9c2a041904cfcf16118185e25c0e4ca5cc27186d8215c1fdc3519","digest":"sha256:4b345c5bdb30054217f9d543ac6a71fcbd8bd58d5d5b5db105c4ac43405061c4","size":95,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025746240,"content_key":"73c1af4c07537d0eb77792963ed2dbb1be0c33cc78c6016fa66fa72c4b4a9155"}');
INSERT INTO cached_layers VALUES('demo/app','73c1af4c07537d0eb77792963ed2dbb1be0c33cc78c6016fa66fa72c4b4a9155','{"diff_id":"sha256:11bb40741bc9c2a041904cfcf16118185e25c0e4ca5cc27186d8215c1fdc3519","digest":"sha256:4b345c5bdb30054217f9d543ac6a71fcbd8bd58d5d5b5db105c4ac43405061c4","size":95,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025746240,"content_key":null}');
INSERT INTO cached_layers VALUES('demo/app','bf607cc6fd8456db7e32a0896676275130593a7afba93296e286d955c32cada5','{"diff_id":"sha256:7c0771adc1ff934a45e094a4cb78ff5e9e63fb87f4fd01f7e416f32aaeb7a991","digest":"sha256:44a0d55097c2db392401de51655f00d73bbc43d7cb782ae8f7ccb76aba199fca","size":158,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025746245,"content_key":"719bf1eb64199136ef715b7809f4017e55d261bcea160c5579236e7ca2ee4512"}');
INSERT INTO cached_layers VALUES('demo/app','719bf1eb64199136ef715b7809f4017e55d261bcea160c5579236e7ca2ee4512','{"diff_id":"sha256:7c0771adc1ff934a45e094a4cb78ff5e9e63fb87f4fd01f7e416f32aaeb7a991","digest":"sha256:44a0d55097c2db392401de51655f00d73bbc43d7cb782ae8f7ccb76aba199fca","size":158,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","empty":false,"created_ms":1796025746245,"content_key":null}');
CREATE TABLE tags (
    tag             TEXT NOT NULL,
    repository      TEXT NOT NULL,
    git_ref         TEXT NOT NULL,
    sequence        BIGINT NOT NULL DEFAULT 0,
    digest          TEXT,
    moved_ms        BIGINT,
    holder          TEXT,
    holder_attempt  BIGINT,
    held_until_ms   BIGINT NOT NULL DEFAULT 0, checks BIGINT NOT NULL DEFAULT 0, retries BIGINT NOT NULL DEFAULT 0, check_ms BIGINT, note TEXT, moved_by TEXT,
    PRIMARY KEY (tag, repository, git_ref)
);
INSERT INTO tags VALUES('127.0.0.1:19481/demo/app:latest','demo/app','refs/heads/main',3145728,'sha256:3355118c0a05d4507df33819025ee447de0e9055dcc42edf7c96a08279a675ff',1796025752319,NULL,NULL,1796025752316,2,0,1796026353663,NULL,'bld_01a22b7a1aac75d5a8d7216962c3cbd0');
INSERT INTO tags VALUES('127.0.0.1:19481/demo/app:6e455b9','demo/app','refs/heads/main',3145728,'sha256:3355118c0a05d4507df33819025ee447de0e9055dcc42edf7c96a08279a675ff',1796025752327,NULL,NULL,1796025752326,2,0,1796026353668,NULL,'bld_01a22b7a1aac75d5a8d7216962c3cbd0');
CREATE TABLE repositories (
    name          TEXT PRIMARY KEY,
    document_json TEXT NOT NULL,
    version       BIGINT NOT NULL,
    changed_ms    BIGINT NOT NULL
);
INSERT INTO repositories VALUES('demo/own','{"name":"demo/own","clone_url":"http://127.0.0.1:19482/app.git","image":"127.0.0.1:19481/demo/own","own_rules":{"path":"slipway.toml"}}',2,1796025752249);
CREATE TABLE tokens (
    name              TEXT PRIMARY KEY,
    hash              TEXT NOT NULL UNIQUE,
    scopes_json       TEXT NOT NULL,
    repositories_json TEXT NOT NULL,
    created_ms        BIGINT NOT NULL,
    expires_ms        BIGINT,
    last_used_ms      BIGINT,
    revoked_ms        BIGINT
);
CREATE TABLE secrets (
    repository  TEXT NOT NULL,
    name        TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    changed_ms  BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);
INSERT INTO secrets VALUES('demo/app','npm',X'584bbe30ac8f77374d076b2a819e7c00f5e4218cd36e9114d2fb3cda798f04023b6c28cb8332d482b22a',1796025752227);
INSERT INTO secrets VALUES('demo/own','@deliveries',X'4683b2ca072f61521ab55b674cca06e34a485fc16e40617319698667d0f7a682',1796025752248);
CREATE TABLE schedule_runs (
    repository  TEXT NOT NULL,
    rule        TEXT NOT NULL,
    due_ms      BIGINT NOT NULL,
    PRIMARY KEY (repository, rule, due_ms)
);
INSERT INTO schedule_runs VALUES('demo/app','main',1796025720000);
INSERT INTO schedule_runs VALUES('demo/app','main',1796025780000);
CREATE TABLE questions (
    id            INTEGER PRIMARY KEY,
    question_json TEXT NOT NULL,
    state         TEXT NOT NULL,
    answer_json   TEXT,
    asked_ms      BIGINT NOT NULL
);
CREATE TABLE looks (
    repository     TEXT PRIMARY KEY,
    clone_url      TEXT NOT NULL,
    pause_ms       BIGINT NOT NULL,
    due_ms         BIGINT NOT NULL,
    attempt        BIGINT NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    asked_ms       BIGINT NOT NULL DEFAULT 0,
    answer_json    TEXT,
    known_json     TEXT,
    compared_ms    BIGINT,
    failures       BIGINT NOT NULL DEFAULT 0,
    problem        TEXT
);
INSERT INTO looks VALUES('demo/app','http://127.0.0.1:19482/app.git',2000,1796025817172,24,0,1796025814720,NULL,'{"heads":{"refs/heads/main":"6e455b97f23120bfc043e80b8ba0b97091b93d00"},"waiting":{}}',1796025814720,0,NULL);
INSERT INTO looks VALUES('demo/own','http://127.0.0.1:19482/app.git',2000,1796025817170,21,0,1796025814680,NULL,'{"heads":{"refs/heads/main":"6e455b97f23120bfc043e80b8ba0b97091b93d00"},"waiting":{}}',1796025814680,0,NULL);
CREATE TABLE traces (
    build_id      TEXT PRIMARY KEY REFERENCES builds (id),
    critical_json TEXT NOT NULL,
    trace_json    TEXT NOT NULL
, cpu_ms BIGINT);
INSERT INTO traces VALUES('bld_01a22b79ffc275f0b61883e55bd1e4ad','[{"work":"fetch","name":"the commit","duration_us":12562}]','{"displayTimeUnit":"ms","otherData":{"left_out":0},"traceEvents":[{"name":"the commit","cat":"fetch","ph":"X","pid":1,"tid":1,"ts":8.328,"dur":12562.029}]}',NULL);
INSERT INTO traces VALUES('bld_01a22b7a0262724682d90dde4204c093','[{"work":"fetch","name":"the commit","duration_us":39379},{"work":"resolve","name":"base images","duration_us":795},{"work":"key","name":"the definitions of all steps","duration_us":282},{"work":"step","name":"starting the sandbox","duration_us":560},{"work":"step","name":"RUN echo hello; echo x > /x","duration_us":134726},{"work":"pack","name":"RUN echo hello; echo x > /x","duration_us":95},{"work":"key","name":"COPY Dockerfile /d","duration_us":84},{"work":"upload","name":"sha256:09c992c8f68055bbd3649d9f59ae026a37a30107fb96ba2bcadacbd683dddcff","duration_us":446},{"work":"upload","name":"sha256:18d30c6a9041e4f9a3c498295ecbae4d4d050bd41b21234d339957bd5a80dc23","duration_us":194},{"work":"step","name":"COPY Dockerfile /d","duration_us":1612},{"work":"settle","name":"1 layers","duration_us":11389},{"work":"push","name":"127.0.0.1:19481/demo/app:latest","duration_us":20017},{"work":"push","name":"127.0.0.1:19481/demo/app:6e455b9","duration_us":11253}]','{"displayTimeUnit":"ms","otherData":{"left_out":0},"traceEvents":[{"name":"the commit","cat":"fetch","ph":"X","pid":1,"tid":1,"ts":6.11,"dur":39379.359},{"name":"base images","cat":"resolve","ph":"X","pid":1,"tid":1,"ts":39566.609,"dur":795.475},{"name":"the definitions of all steps","cat":"key","ph":"X","pid":1,"tid":1,"ts":40786.299,"dur":282.84},{"name":"starting the sandbox","cat":"step","ph":"X","pid":1,"tid":3,"ts":42664.687,"dur":21629.078},{"name":"RUN echo hello; echo x > /x","cat":"key","ph":"X","pid":1,"tid":2,"ts":42938.742,"dur":284.737},{"name":"a slot for a step","cat":"wait","ph":"X","pid":1,"tid":2,"ts":43224.93,"dur":0.073},{"name":"RUN echo hello; echo x > /x","cat":"step","ph":"X","pid":1,"tid":2,"ts":43225.58,"dur":134726.528},{"name":"a slot to pack a layer","cat":"wait","ph":"X","pid":1,"tid":4,"ts":177999.835,"dur":0.274},{"name":"RUN echo hello; echo x > /x","cat":"pack","ph":"X","pid":1,"tid":4,"ts":178001.542,"dur":2774.867},{"name":"COPY Dockerfile /d","cat":"key","ph":"X","pid":1,"tid":2,"ts":178097.493,"dur":722.97},{"name":"sha256:09c992c8f68055bbd3649d9f59ae026a37a30107fb96ba2bcadacbd683dddcff","cat":"upload","ph":"X","pid":1,"tid":5,"ts":178182.119,"dur":763.602},{"name":"sha256:18d30c6a9041e4f9a3c498295ecbae4d4d050bd41b21234d339957bd5a80dc23","cat":"upload","ph":"X","pid":1,"tid":6,"ts":178628.627,"dur":671.036},{"name":"a slot for a step","cat":"wait","ph":"X","pid":1,"tid":2,"ts":178822.164,"dur":0.096},{"name":"COPY Dockerfile /d","cat":"step","ph":"X","pid":1,"tid":2,"ts":178822.806,"dur":2327.474},{"name":"a layer that is being packed","cat":"wait","ph":"X","pid":1,"tid":2,"ts":178914.578,"dur":1941.149},{"name":"sha256:c951c1f79e3040bf8a73e3cce5b0a63ea925aea4035f45e365fee43b4fb89b95","cat":"upload","ph":"X","pid":1,"tid":5,"ts":178947.367,"dur":360.576},{"name":"a layer that is being packed","cat":"wait","ph":"X","pid":1,"tid":7,"ts":179015.194,"dur":1497.86},{"name":"1 layers","cat":"settle","ph":"X","pid":1,"tid":9,"ts":180434.991,"dur":7127.433},{"name":"sha256:4b345c5bdb30054217f9d543ac6a71fcbd8bd58d5d5b5db105c4ac43405061c4","cat":"upload","ph":"X","pid":1,"tid":7,"ts":180539.468,"dur":312.122},{"name":"sha256:44a0d55097c2db392401de51655f00d73bbc43d7cb782ae8f7ccb76aba199fca","cat":"upload","ph":"X","pid":1,"tid":8,"ts":181171.368,"dur":264.743},{"name":"1 layers","cat":"settle","ph":"X","pid":1,"tid":9,"ts":187569.186,"dur":4255.572},{"name":"127.0.0.1:19481/demo/app:latest","cat":"push","ph":"X","pid":1,"tid":1,"ts":204038.108,"dur":20017.026},{"name":"127.0.0.1:19481/demo/app:6e455b9","cat":"push","ph":"X","pid":1,"tid":1,"ts":225146.768,"dur":11253.853}]}',10);
INSERT INTO traces VALUES('bld_01a22b7a1aac75d5a8d7216962c3cbd0','[{"work":"fetch","name":"the commit","duration_us":15418},{"work":"resolve","name":"base images","duration_us":498},{"work":"key","name":"the definitions of all steps","duration_us":2717},{"work":"push","name":"asking for the tags","duration_us":447},{"work":"push","name":"127.0.0.1:19481/demo/app:latest","duration_us":356},{"work":"push","name":"127.0.0.1:19481/demo/app:6e455b9","duration_us":302}]','{"displayTimeUnit":"ms","otherData":{"left_out":0},"traceEvents":[{"name":"the commit","cat":"fetch","ph":"X","pid":1,"tid":1,"ts":6.536,"dur":15418.78},{"name":"base images","cat":"resolve","ph":"X","pid":1,"tid":1,"ts":15642.491,"dur":498.27},{"name":"the definitions of all steps","cat":"key","ph":"X","pid":1,"tid":1,"ts":16498.423,"dur":2717.908},{"name":"asking for the tags","cat":"push","ph":"X","pid":1,"tid":1,"ts":19451.696,"dur":447.302},{"name":"127.0.0.1:19481/demo/app:latest","cat":"push","ph":"X","pid":1,"tid":1,"ts":40148.243,"dur":356.849},{"name":"127.0.0.1:19481/demo/app:6e455b9","cat":"push","ph":"X","pid":1,"tid":1,"ts":49948.611,"dur":302.98}]}',NULL);
CREATE TABLE webhooks (
    repository TEXT NOT NULL,
    name       TEXT NOT NULL,
    events     TEXT NOT NULL,
    is_per_tag BOOLEAN NOT NULL,
    PRIMARY KEY (repository, name)
);
INSERT INTO webhooks VALUES('demo/app','hook','queued started succeeded failed fixed cancelled',0);
CREATE TABLE notices (
    id         TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    webhook    TEXT NOT NULL,
    build_id   TEXT NOT NULL REFERENCES builds (id),
    event      TEXT NOT NULL,
    tag        TEXT NOT NULL,
    state      TEXT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0,
    status     BIGINT,
    problem    TEXT,
    created_ms BIGINT NOT NULL,
    due_ms     BIGINT NOT NULL,
    tried_ms   BIGINT,
    UNIQUE (build_id, webhook, event, tag)
);
INSERT INTO notices VALUES('ntc_01a22b79ffc275f0b61883e628570fc2','demo/app','hook','bld_01a22b79ffc275f0b61883e55bd1e4ad','queued','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025745346,1796025907653,1796025787653);
INSERT INTO notices VALUES('ntc_01a22b7a017475ffac57f077d0126399','demo/app','hook','bld_01a22b79ffc275f0b61883e55bd1e4ad','started','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025745780,1796025908461,1796025788461);
INSERT INTO notices VALUES('ntc_01a22b7a018c70d99a58cc9b0929105d','demo/app','hook','bld_01a22b79ffc275f0b61883e55bd1e4ad','failed','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025745804,1796025908719,1796025788719);
INSERT INTO notices VALUES('ntc_01a22b7a0262724682d90ddf4958d356','demo/app','hook','bld_01a22b7a0262724682d90dde4204c093','queued','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025746018,1796025908749,1796025788749);
INSERT INTO notices VALUES('ntc_01a22b7a028771419a2b4c81fbb1f721','demo/app','hook','bld_01a22b7a0262724682d90dde4204c093','started','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025746055,1796025908777,1796025788777);
INSERT INTO notices VALUES('ntc_01a22b7a0389710988c527f5d7dfa156','demo/app','hook','bld_01a22b7a0262724682d90dde4204c093','fixed','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025746313,1796025909067,1796025789067);
INSERT INTO notices VALUES('ntc_01a22b7a1aac75d5a8d7216ae4e5660f','demo/app','hook','bld_01a22b7a1aac75d5a8d7216962c3cbd0','queued','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025752236,1796025914679,1796025794679);
INSERT INTO notices VALUES('ntc_01a22b7a1ac67741bcd2209dd763330a','demo/app','hook','bld_01a22b7a1aac75d5a8d7216962c3cbd0','started','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025752262,1796025914685,1796025794685);
INSERT INTO notices VALUES('ntc_01a22b7a1b3870ba91424a3583b977e6','demo/app','hook','bld_01a22b7a1aac75d5a8d7216962c3cbd0','succeeded','','pending',4,NULL,'error sending request: Connection refused (os error 111)',1796025752376,1796025914941,1796025794941);
INSERT INTO notices VALUES('ntc_01a22b7a888975c88bf4fcccbc0d52ab','demo/app','hook','bld_01a22b7a888975c88bf4fccb137dc790','queued','','pending',3,NULL,'error sending request: Connection refused (os error 111)',1796025780361,1796025822910,1796025792910);
CREATE TABLE base_images (
    reference      TEXT NOT NULL,
    platform       TEXT NOT NULL,
    pause_ms       BIGINT NOT NULL,
    due_ms         BIGINT NOT NULL,
    attempt        BIGINT NOT NULL DEFAULT 0,
    failures       BIGINT NOT NULL DEFAULT 0,
    tag_digest     TEXT,
    digest         TEXT,
    seen_ms        BIGINT,
    problem        TEXT,
    PRIMARY KEY (reference, platform)
);
CREATE TABLE own_schedules (
    repository     TEXT NOT NULL,
    git_ref        TEXT NOT NULL,
    lookup_id      BIGINT NOT NULL,
    schedules_json TEXT NOT NULL,
    PRIMARY KEY (repository, git_ref)
);
CREATE INDEX deliveries_by_repository ON deliveries (repository, id);
CREATE INDEX pushes_by_after ON pushes (repository, git_ref, after_id);
CREATE INDEX pushes_heads ON pushes (repository, git_ref, before_id) WHERE is_head;
CREATE INDEX pushes_by_segment ON pushes (repository, git_ref, segment);
CREATE INDEX pushes_by_delivery ON pushes (delivery_id);
CREATE INDEX builds_by_repository ON builds (repository, id);
CREATE INDEX builds_by_commit ON builds (commit_id, id);
CREATE INDEX builds_by_delivery ON builds (delivery_id);
CREATE INDEX builds_by_push ON builds (push_id);
CREATE INDEX builds_queued ON builds (lane, priority DESC, id) WHERE state = 'queued';
CREATE INDEX builds_queued_by_id ON builds (id) WHERE state = 'queued';
CREATE INDEX builds_queued_by_rule ON builds (repository, rule, git_ref, sequence) WHERE state = 'queued';
CREATE INDEX builds_running ON builds (repository) WHERE worker IS NOT NULL;
CREATE INDEX builds_by_rule ON builds (repository, rule, git_ref, sequence);
CREATE INDEX builds_by_end ON builds (finished_ms) WHERE state = 'succeeded';
CREATE UNIQUE INDEX builds_running_in_lane ON builds (lane) WHERE worker IS NOT NULL AND is_serial;
CREATE INDEX lookups_by_state ON lookups (state, id);
CREATE INDEX lookups_by_delivery ON lookups (delivery_id);
CREATE INDEX statuses_due ON statuses (due_ms, id);
CREATE INDEX statuses_by_build ON statuses (build_id, id);
CREATE INDEX tags_by_holder ON tags (holder) WHERE holder IS NOT NULL;
CREATE INDEX tags_by_check ON tags (check_ms) WHERE check_ms IS NOT NULL;
CREATE INDEX notices_due ON notices (due_ms, id) WHERE state = 'pending';
CREATE INDEX notices_pending ON notices (repository, webhook, id) WHERE state = 'pending';
CREATE INDEX notices_by_repository ON notices (repository, id);
CREATE INDEX builds_by_verdict ON builds (repository, rule, git_ref, finished_ms, id)
    WHERE state IN ('succeeded', 'failed', 'errored', 'timed_out');
CREATE INDEX builds_ended ON builds (state) WHERE finished_ms IS NOT NULL;
INSERT INTO tokens VALUES('deploy','9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08','["trigger"]','["demo/app"]',1796025752000,NULL,NULL,NULL);
INSERT INTO lookups VALUES(1,NULL,'{"repository":"demo/own","clone_url":"http://127.0.0.1:19482/app.git","git_ref":"refs/heads/main","commit":null,"commit_message":"","trigger":{"kind":"manual","by":"ops"},"path":"slipway.toml","rule":null}','open',0,NULL,NULL,NULL);
INSERT INTO own_schedules VALUES('demo/own','refs/heads/main',1,'[]');
INSERT INTO base_images VALUES('docker.io/library/debian:12','linux/amd64',900000,1796026652000,1,0,'sha256:aa','sha256:bb',1796025752000,NULL);
INSERT INTO statuses VALUES(1,'bld_01a22b7a1aac75d5a8d7216962c3cbd0','demo/app','6e455b97f23120bfc043e80b8ba0b97091b93d00','main','succeeded','done',0,1796025752000);
INSERT INTO workers VALUES('host-boot-1',1,1796025752000);
INSERT INTO questions VALUES(1,'{}','answered','{}',1796025752000);
COMMIT;
